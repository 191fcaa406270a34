"""One backend process from start to end: migrate, serve and consume, drain."""

import asyncio
import socket
from contextlib import suppress
from functools import partial

import structlog
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import commands, retention, schema
from backend.app import create_app
from backend.database import make_engine, patiently, wait_until_reachable
from backend.settings import Settings
from shared.generated.events import broker
from shared.process import ListenError, unless_stopped

log = structlog.get_logger(__name__)

HTTP_GRACE = 5
"""Seconds that open requests get to finish after SIGTERM."""

MOST_CONNECTIONS = 500
"""Connections at a time; further requests are answered 503, so that files and memory last."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the backend until it is to stop; returning means that everything was drained.

    Raises:
        UnusableDatabaseError: The database refuses us for good.
        ListenError: Something else has the port.
        ConsumerStoppedError: The subscriber ended although nobody asked it to.
    """
    engine = make_engine(settings.database_url)
    try:
        if await unless_stopped(stop, _prepare(engine, settings)):
            await _serve(engine, settings, stop)
    finally:
        await broker.close()
        await engine.dispose()


async def _prepare(engine: AsyncEngine, settings: Settings) -> None:
    await wait_until_reachable(engine)
    await patiently(partial(schema.upgrade, settings.database_url))


async def _serve(engine: AsyncEngine, settings: Settings, stop: asyncio.Event) -> None:
    """Serve and consume side by side until one of them ends or a signal comes."""
    # Uvicorn puts handlers of its own over those of the signals while it serves, and raises the
    # signal again when it has drained; `stop` hears of it either way.
    listener = _listen(settings.http_host, settings.http_port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(engine, debug_endpoints=settings.debug_endpoints == "on"),
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=HTTP_GRACE,
        )
    )
    store = commands.subscribe(engine)
    await broker.connect(settings.redis_url, source="/backend")
    await broker.start_consumers()
    serving = asyncio.create_task(server.serve([listener]), name="http")
    consuming = asyncio.create_task(broker.consumers_stopped(), name="consumers")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    tidying = asyncio.create_task(retention.forget_finished(store.forget), name="tidy")
    host, port = listener.getsockname()[:2]
    log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", port=port)
    await asyncio.wait({serving, consuming, stopping}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", reason="signal" if stop.is_set() else "a part of the process ended")
    stopping.cancel()
    tidying.cancel()
    consuming.cancel()  # from here on the consumers end because they are told to
    server.should_exit = True
    await broker.stop_consumers()
    await store.close()
    await serving
    for task in (consuming, tidying):
        with suppress(asyncio.CancelledError):
            await task


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(
            f"cannot listen on HTTP_HOST={host} HTTP_PORT={port}: {error.strerror}"
        ) from error
