"""How large a request's body may be, and how long it may take to come.

Starlette can limit the size, yet answers in plain text, and Uvicorn waits for a body without end.
"""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 128 * 1024
"""Bytes; the largest command that the stream takes has 64 KiB."""
BODY_TIMEOUT = 10.0
"""Seconds from a request's head to the end of its body."""

CLOSE = (b"connection", b"close")


class BodyLimits:
    """Ends a request whose body is too large with 413, and one that is too slow with 408.

    Neither is read any further than that: the connection ends with the answer, as it does wherever
    an answer goes out before the body has come in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with an eye on its body."""
        if scope["type"] == "http":
            body = _Body(Headers(scope=scope), receive, send)
            receive, send = body.receive, body.send
        await self._app(scope, receive, send)


class _Body:
    """The body of one request on its way in, and what is sent meanwhile."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._announced = int(headers.get("content-length", "0"))
        self._complete = self._announced == 0 and "transfer-encoding" not in headers
        self._size = 0
        self._deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            HTTPException: The body is too large (413) or too slow (408).
        """
        if self._announced > LARGEST_BODY:
            raise _too_large()
        if self._complete:
            return await self._receive()  # waits for the client to leave
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body has not come within {BODY_TIMEOUT:g} s"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
        self._size += len(message.get("body", b""))
        if self._size > LARGEST_BODY:
            raise _too_large()
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; its head ends the connection where the body is not read."""
        if message["type"] == "http.response.start" and not self._complete:
            message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
        await self._send(message)


def _too_large() -> HTTPException:
    detail = f"the body is larger than {LARGEST_BODY} bytes"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
