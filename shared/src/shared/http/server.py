"""One application on one port, from the first request to the last."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from shared.metrics import with_metrics
from shared.process import ListenError

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger(__name__)

DRAINING = "herald.draining"
"""Where a request's scope has the event that is set when it is to end."""
GRACE = 5
"""Seconds that open requests get to finish after SIGTERM."""
MOST_CONNECTIONS = 500
"""Connections at a time; further requests are answered 503, so that files and memory last."""


def serving(
    app: "ASGIApp", *, host: str, port: int
) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """Return a part of a process that serves an application until its event is set.

    Before its own routes stands `GET /metrics`. Open requests are finished before it returns. Each
    listens on the address as soon as it begins, and logs it; port 0 takes a free one.

    Raises:
        ListenError: where it begins, something else has the address.
    """

    async def serve(stop: asyncio.Event) -> None:
        # Uvicorn puts handlers of its own over those of the signals while it serves, and raises
        # the signal again when it has drained; `stop` hears of it either way.
        listener = _listen(host, port)
        server = _Server(
            uvicorn.Config(
                with_metrics(_telling(app, draining := asyncio.Event())),
                log_config=None,
                access_log=False,
                lifespan="off",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE,
            ),
            draining,
        )
        work = asyncio.create_task(server.serve([listener]), name="http")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        name, number = listener.getsockname()[:2]
        url = f"http://{f'[{name}]' if ':' in name else name}:{number}"
        log.info("listening", url=url, port=number)
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        draining.set()
        server.should_exit = True
        await work

    return serve


class _Server(uvicorn.Server):
    """Tells what it serves that it is to end: an answer without an end would keep it waiting."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self._draining = draining

    def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
        """Begin to drain."""
        self._draining.set()
        super().handle_exit(sig, frame)


def _telling(app: "ASGIApp", draining: asyncio.Event) -> "ASGIApp":
    """Return an application whose requests know, as DRAINING, when they are to end."""

    async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
        await app({**scope, DRAINING: draining}, receive, send)

    return answer


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(
            f"cannot listen on HTTP_HOST={host} HTTP_PORT={port}: {error.strerror}"
        ) from error
