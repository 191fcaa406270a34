"""`GET /metrics` in front of an HTTP application of one's own."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from shared.metrics.exposition import exposition

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""As ASGI has it: asgi.readthedocs.io/en/latest/specs/www.html."""

PATH = "/metrics"


def with_metrics(application: Application) -> Application:
    """Return an application that answers `GET /metrics` and hands on everything else."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["path"] == PATH
        if not asked or scope["method"] not in {"GET", "HEAD"}:
            await application(scope, receive, send)
            return
        status, kind, body = await exposition()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        content = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": content})

    return answer
