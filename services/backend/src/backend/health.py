"""Is the process alive, and can it do its work?"""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from shared.inbox import Database, Readiness, readiness


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok"] = "ok"


def health_router(database: Database) -> APIRouter:
    """Return the routes `/health` and `/ready`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Say that the process is alive.", operation_id="health")
    async def health() -> Health:
        return Health()

    @router.get(
        "/ready",
        summary="Say whether the backend can do its work.",
        operation_id="ready",
        responses={503: {"model": Readiness, "description": "It cannot; the reasons say why."}},
    )
    async def ready(response: Response) -> Readiness:
        state = await readiness(database)
        if not state.ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return state

    return router
