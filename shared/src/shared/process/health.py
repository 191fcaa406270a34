"""`GET /health` and `GET /metrics` of a service that speaks no HTTP otherwise.

Compose's health check asks for the one, Prometheus for the other.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from shared.metrics import exposition
from shared.settings import SettingsError

REQUEST_TIMEOUT = 5.0
"""Seconds that a request may take to arrive."""

Moments = Callable[[str], Mapping[str, str] | None]
"""Tells when what of an event's update has happened, in ISO 8601; None where that is not known."""
Check = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
"""Says whether the service does its work right now, and what there is to tell about it."""


@asynccontextmanager
async def serve_health(
    port: int, check: Check, *, host: str = "127.0.0.1", moments: Moments | None = None
) -> AsyncIterator[None]:
    """Answer `GET /health` while the context lasts: 200 where the check holds, else 503.

    The body is a JSON object: `status`, `ok` or `unavailable`, and what the check tells.
    `GET /metrics` is answered with what `shared.metrics` has, `GET /moments?id=EVENT_ID` with what
    `moments` tells of an event, or 404.

    Args:
        port: the port, of HEALTH_PORT; 0 takes a free one.
        check: asked at each request.
        host: the address; a container's own health check comes over its loopback.
        moments: asked with the id of an event.

    Raises:
        SettingsError: the port cannot be used.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await _response(head, check, moments))
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # whoever asked so gets no answer, which is one
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        taken = f"HEALTH_PORT is {port}, which cannot be used: {error.strerror}"
        raise SettingsError(taken) from None
    try:
        yield
    finally:
        server.close()


async def _response(head: bytes, check: Check, moments: Moments | None) -> bytes:
    """Return the whole answer to a request's head."""
    method, _, rest = head.partition(b" ")
    path, _, query = rest.partition(b" ")[0].partition(b"?")
    kind, body = "application/json", b""
    known = moments(_id(query)) if moments is not None and path == b"/moments" else None
    if path not in {b"/health", b"/metrics"} and known is None:
        status = HTTPStatus.NOT_FOUND
    elif method not in {b"GET", b"HEAD"}:
        status = HTTPStatus.METHOD_NOT_ALLOWED
    elif known is not None:
        status, body = HTTPStatus.OK, json.dumps(known).encode()
    elif path == b"/metrics":
        code, kind, body = await exposition()
        status = HTTPStatus(code)
    else:
        healthy, details = await check()
        status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
        details = {"status": "ok" if healthy else "unavailable", **details}
        body = json.dumps(details).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *(["Allow: GET, HEAD"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == b"HEAD" else body)


def _id(query: bytes) -> str:
    return parse_qs(query.decode("ascii", errors="replace")).get("id", [""])[0]
