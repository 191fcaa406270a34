"""Forgetting what cannot come again, so that the inbox does not grow for ever.

An event comes again only while its entry is in the stream, and the stream keeps what a group has
not finished with. So an inbox row that is older than every entry has done its work. The streams
are those that the process consumes: their own retention decides, and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from shared.generated.events import broker
from shared.inbox.columns import now
from shared.process import jitter
from shared.streams import EventStream

log = structlog.get_logger(__name__)

EVERY = 3600.0
"""Seconds between two rounds, more or less: several processes share the work."""
MARGIN = timedelta(days=1)
"""How far the clocks of Redis and of this process may be apart."""

Forget = Callable[[datetime], Awaitable[int]]


async def forget_finished(forget: Forget) -> None:
    """Forget finished events now and then, until cancelled; what fails is done the next time.

    It returns where nothing is consumed, as nothing is handled then.
    """
    while streams := {consumer.stream.name: consumer.stream for consumer in broker.consumers}:
        try:
            forgotten = await forget(min([await horizon(stream) for stream in streams.values()]))
        except Exception as error:  # noqa: BLE001 — Redis or the database; nothing depends on it
            log.info("inbox not tidied", reason=type(error).__name__)
        else:
            if forgotten:
                log.info("inbox tidied", forgotten=forgotten)
        await asyncio.sleep(EVERY * jitter())


async def horizon(stream: EventStream[Any]) -> datetime:
    """Return the time before which nothing of a stream was handled that can come again."""
    kept = now() - timedelta(seconds=stream.retention)
    oldest = await broker.oldest(stream)
    return min(kept, oldest or kept) - MARGIN
