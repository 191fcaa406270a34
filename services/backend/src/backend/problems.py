"""Errors of the API: RFC 9457 problem details, one shape for all of them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from shared.generated.schemas import Fault, Problem
from shared.inbox import is_away
from shared.process import describe

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
JSON = "application/json"
RETRY_AFTER = {"Retry-After": "1"}


class ProblemError(Exception):
    """Raised by a controller to answer with an error that its API declares."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def install(app: FastAPI) -> None:
    """Make the application answer every failure with a problem, and say so in its OpenAPI."""
    app.exception_handler(ProblemError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(SQLAlchemyError)(_failed)
    app.exception_handler(OSError)(_failed)
    app.exception_handler(Exception)(_unexpected)
    describe_plainly = app.openapi

    def openapi() -> dict[str, Any]:
        return _with_media_type(describe_plainly())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def problem(
    status: HTTPStatus,
    detail: str,
    *,
    errors: list[Fault] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the response for one problem."""
    body = Problem(title=status.phrase, status=status, detail=detail, errors=errors or [])
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers = RETRY_AFTER
    return JSONResponse(
        body.model_dump(mode="json"), status, media_type=MEDIA_TYPE, headers=headers
    )


async def _refused(_request: Request, error: ProblemError) -> JSONResponse:
    return problem(error.status, error.detail)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    if isinstance(error.body, bytes):  # FastAPI leaves a body alone that does not call itself JSON
        given = request.headers.get("content-type", "no Content-Type")
        detail = f"the body must be {JSON}, not {given}"
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": JSON})
    for fault in faults:
        if fault["type"] == "json_invalid":
            reason = fault.get("ctx", {}).get("error", "it cannot be parsed")
            where = fault["loc"][-1]
            detail = f"the body is no JSON: {reason}, at character {where}"
            return problem(HTTPStatus.BAD_REQUEST, detail)
    errors = [
        Fault(place=".".join(str(step) for step in fault["loc"]), reason=fault["msg"])
        for fault in faults
    ]
    places = ", ".join(fault.place for fault in errors)
    detail = f"the request does not fit its schema: {places}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


async def _http(_request: Request, error: HTTPException) -> JSONResponse:
    return problem(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Answer 503 where the database is away; anything else is a fault of ours."""
    if not is_away(error):
        raise error
    log.warning("request failed", path=request.url.path, reason=describe(error))
    detail = "the database cannot be reached; try again later"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    """Answer without details; the server logs the error, since this handler does not end it."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of ours; it is in the log")


def _with_media_type(document: dict[str, Any]) -> dict[str, Any]:
    """Declare problems as what they are sent as; FastAPI knows one media type a route."""
    reference = {"$ref": "#/components/schemas/Problem"}
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == reference:
                    content[MEDIA_TYPE] = content.pop("application/json")
    return document
