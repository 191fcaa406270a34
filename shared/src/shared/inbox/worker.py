"""One process that consumes into its database, from its start to its end."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from shared.generated.events import broker
from shared.inbox.database import Database
from shared.inbox.retention import forget_finished
from shared.metrics import catalogue, measure_at_scrape
from shared.process import unless_stopped

log = structlog.get_logger(__name__)

Part = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Another part of a process: it works until the event is set, then drains and returns."""


async def run_worker(
    database: Database,
    stop: asyncio.Event,
    *,
    database_url: str,
    redis_url: str,
    beside: Part | None = None,
) -> None:
    """Migrate the database and consume into it until told to stop; returning means drained.

    Every handler that is registered with the broker runs. The inbox is tidied meanwhile.

    Args:
        database: what the service has in its database.
        stop: set by a signal; set here as well, where a part of the process ends by itself.
        database_url: where the database is.
        redis_url: where the streams are.
        beside: what else the process does once its tables are there, such as an API; where it
            ends, so does the process.

    Raises:
        UnusableDatabaseError: the database refuses us for good.
        ConsumerStoppedError: a subscriber ended although nobody asked it to.
    """
    try:
        if await unless_stopped(stop, database.open(database_url)):
            await broker.connect(redis_url, source=f"/{database.service}")
            measure_at_scrape("inbox", database.measure, catalogue.INBOX)
            await _work(database, stop, beside)
    finally:
        await broker.close()
        await database.close()


async def _work(database: Database, stop: asyncio.Event, beside: Part | None) -> None:
    """Do everything side by side until a part ends or a signal comes, then drain."""
    await broker.start_consumers()
    stopping = asyncio.create_task(stop.wait(), name="stop")
    part = asyncio.create_task(beside(stop), name="beside") if beside else stopping
    consuming = asyncio.create_task(broker.consumers_stopped(), name="consumers")
    tidying = asyncio.create_task(forget_finished(database.forget), name="tidy")
    log.info("started", service=database.service)
    await asyncio.wait({stopping, part, consuming}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", reason="signal" if stop.is_set() else "a part of the process ended")
    stop.set()
    tidying.cancel()
    consuming.cancel()  # from here on the consumers end because they are told to
    await broker.stop_consumers()
    await part
    for task in (consuming, tidying):
        with suppress(asyncio.CancelledError):
            await task
