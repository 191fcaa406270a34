"""`GET /health` of a service that speaks no HTTP otherwise: what Compose's health check asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from shared.settings import SettingsError

REQUEST_TIMEOUT = 5.0
"""Seconds that a request may take to arrive."""

Check = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
"""Says whether the service does its work right now, and what there is to tell about it."""


@asynccontextmanager
async def serve_health(port: int, check: Check, *, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """Answer `GET /health` while the context lasts: 200 where the check holds, else 503.

    The body is a JSON object: `status`, `ok` or `unavailable`, and what the check tells.

    Args:
        port: the port, of HEALTH_PORT; 0 takes a free one.
        check: asked at each request.
        host: the address; a container's own health check comes over its loopback.

    Raises:
        SettingsError: the port cannot be used.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await _response(head, check))
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


async def _response(head: bytes, check: Check) -> bytes:
    """Return the whole answer to a request's head."""
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    details: Mapping[str, Any] = {}
    if path != b"/health":
        status = HTTPStatus.NOT_FOUND
    elif method not in {b"GET", b"HEAD"}:
        status = HTTPStatus.METHOD_NOT_ALLOWED
    else:
        healthy, details = await check()
        status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
        details = {"status": "ok" if healthy else "unavailable", **details}
    body = json.dumps(details).encode() if details else b""
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(["Allow: GET, HEAD"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == b"HEAD" else body)
