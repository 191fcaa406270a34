"""Users: what a controller offers, and the routes to it.

Written by `make generate-from-spec` from services/backend/spec/users.yaml; do not edit.
"""

from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Path

from shared.generated.schemas import Problem, User, UserCreate


class UsersController(Protocol):
    """What carries out the operations of Users."""

    async def create_user(self, body: UserCreate) -> User:
        """Register a user.

        Registering the same user again changes nothing: of any number of requests for one
        user, at the same time or one after the other, exactly one is answered 201.

        Failures, as the API declares them:
            400: The body is no JSON.
            408: The body did not come in time.
            409: The user was registered before.
            413: The body is too large.
            415: The body does not call itself JSON.
            422: The request does not fit its schema.
            503: The database cannot be reached; try again later.
        """
        ...

    async def get_user(self, user_id: int) -> User:
        """Return a registered user.

        Failures, as the API declares them:
            404: No such user is registered.
            422: The request does not fit its schema.
            503: The database cannot be reached; try again later.
        """
        ...


def users_router(controller: UsersController) -> APIRouter:
    """Return the routes of Users, carried out by the controller."""
    router = APIRouter()
    create_user_errors: dict[int | str, dict[str, Any]] = {
        400: {"description": "The body is no JSON.", "model": Problem},
        408: {"description": "The body did not come in time.", "model": Problem},
        409: {"description": "The user was registered before.", "model": Problem},
        413: {"description": "The body is too large.", "model": Problem},
        415: {"description": "The body does not call itself JSON.", "model": Problem},
        422: {"description": "The request does not fit its schema.", "model": Problem},
        503: {"description": "The database cannot be reached; try again later.", "model": Problem},
    }

    @router.post(
        "/users",
        operation_id="create_user",
        tags=["users"],
        summary="Register a user.",
        description="Registering the same user again changes nothing: of any number of requests for one user, at the same time or one after the other, exactly one is answered 201.",
        status_code=201,
        response_description="The user is registered now.",
        responses=create_user_errors,
    )
    async def create_user(
        body: UserCreate,
    ) -> User:
        return await controller.create_user(body)

    get_user_errors: dict[int | str, dict[str, Any]] = {
        404: {"description": "No such user is registered.", "model": Problem},
        422: {"description": "The request does not fit its schema.", "model": Problem},
        503: {"description": "The database cannot be reached; try again later.", "model": Problem},
    }

    @router.get(
        "/users/{user_id}",
        operation_id="get_user",
        tags=["users"],
        summary="Return a registered user.",
        description="",
        status_code=200,
        response_description="The user.",
        responses=get_user_errors,
    )
    async def get_user(
        user_id: Annotated[
            int,
            Path(
                ge=1,
                le=4503599627370495,
                description="Telegram's identifier of the user.",
            ),
        ],
    ) -> User:
        return await controller.get_user(user_id)

    return router
