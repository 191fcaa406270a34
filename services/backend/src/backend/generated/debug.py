"""Debug: what a controller offers, and the routes to it.

Written by `make generate-from-spec` from services/backend/spec/debug.yaml; do not edit.
"""

from typing import Any, Protocol

from fastapi import APIRouter, Response

from shared.generated.schemas import CommandPublished, DebugCommand, Problem


class DebugController(Protocol):
    """What carries out the operations of Debug."""

    async def publish_command(self, body: DebugCommand) -> CommandPublished:
        """Publish a command by hand.

        Kept as a fallback for manual tests. Services publish to the stream themselves with
        `publish_command_received` of shared.generated.events.

        Failures, as the API declares them:
            400: The body is no JSON.
            408: The body did not come in time.
            413: The body is too large.
            415: The body does not call itself JSON.
            422: The request does not fit its schema, or the command is too large.
            503: Redis cannot be reached; the command may still be published later.
        """
        ...


def debug_router(controller: DebugController) -> APIRouter:
    """Return the routes of Debug, carried out by the controller."""
    router = APIRouter()
    publish_command_errors: dict[int | str, dict[str, Any]] = {
        400: {"description": "The body is no JSON.", "model": Problem},
        408: {"description": "The body did not come in time.", "model": Problem},
        413: {"description": "The body is too large.", "model": Problem},
        415: {"description": "The body does not call itself JSON.", "model": Problem},
        422: {
            "description": "The request does not fit its schema, or the command is too large.",
            "model": Problem,
        },
        503: {
            "description": "Redis cannot be reached; the command may still be published later.",
            "model": Problem,
        },
    }

    @router.post(
        "/debug/command",
        operation_id="publish_command",
        tags=["debug"],
        summary="Publish a command by hand.",
        description="Kept as a fallback for manual tests. Services publish to the stream themselves with `publish_command_received` of shared.generated.events.",
        status_code=202,
        response_description="The command is in the stream.",
        responses=publish_command_errors,
        deprecated=True,
    )
    async def publish_command(
        body: DebugCommand,
        response: Response,
    ) -> CommandPublished:
        response.headers["Deprecation"] = "@1767225600"
        response.headers["Link"] = (
            '</docs#/debug/publish_command>; rel="deprecation"; type="text/html"'
        )
        return await controller.publish_command(body)

    return router
