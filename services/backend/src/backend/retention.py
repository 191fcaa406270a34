"""Forgetting what cannot come again, so that the inbox does not grow for ever.

An event comes again only while its entry is in the stream, and the stream keeps what a group has
not finished with. So an inbox row that is older than every entry has done its work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from backend.database import now
from shared.generated.events import broker, command_received
from shared.process import jitter

log = structlog.get_logger(__name__)

EVERY = 3600.0
"""Seconds between two rounds, more or less: several processes share the work."""
MARGIN = timedelta(days=1)
"""How far the clocks of Redis and of this process may be apart."""

Forget = Callable[[datetime], Awaitable[int]]


async def forget_finished(forget: Forget) -> None:
    """Forget finished events now and then, until cancelled; what fails is done the next time."""
    while True:
        try:
            forgotten = await forget(await horizon())
        except Exception as error:  # noqa: BLE001 — Redis or the database; nothing depends on it
            log.info("inbox not tidied", reason=type(error).__name__)
        else:
            if forgotten:
                log.info("inbox tidied", forgotten=forgotten)
        await asyncio.sleep(EVERY * jitter())


async def horizon() -> datetime:
    """Return the time before which nothing was handled that can come again."""
    kept = now() - timedelta(seconds=command_received.retention)
    oldest = await broker.oldest(command_received)
    return min(kept, oldest or kept) - MARGIN
