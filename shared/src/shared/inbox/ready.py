"""Can the process do its work: does the database answer, and does every subscriber keep up?"""

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.generated.events import EventSubscriber, broker
from shared.inbox.database import Database
from shared.inbox.engine import probe
from shared.process import Check, describe

PROBE_TIMEOUT = 2.0
"""Seconds that one check may take."""
MAX_LAG = 10_000
"""Unread entries from which a service counts as too far behind."""
MAX_PENDING_SECONDS = 60.0
"""Age from which an entry that was read but not finished with counts as stuck."""


class Subscriber(BaseModel):
    """How one subscriber stands.

    Attributes:
        stream: What it reads.
        group: The consumer group that it is a member of.
        running: Whether it reads.
        lag: Entries that the group has not read yet; null where Redis cannot tell.
        pending: Entries that the group has read but not finished with.
        oldest_pending_seconds: Age of the oldest of these.
    """

    model_config = ConfigDict(frozen=True)

    stream: str
    group: str
    running: bool
    lag: int | None = None
    pending: int | None = None
    oldest_pending_seconds: float | None = None

    @property
    def faults(self) -> list[str]:
        """Return every reason why it does not do its work."""
        name, oldest = self.stream, self.oldest_pending_seconds
        faults = []
        if not self.running:
            faults.append(f"{name}: the subscriber is not running")
        if self.lag is not None and self.lag > MAX_LAG:
            faults.append(f"{name}: {self.lag} entries behind, {MAX_LAG} are allowed")
        if oldest is not None and oldest > MAX_PENDING_SECONDS:
            faults.append(f"{name}: an entry has been pending for {oldest:.0f} s")
        return faults


class Readiness(BaseModel):
    """Whether the service can do its work, and every reason why it cannot.

    Attributes:
        ready: Whether there is no reason.
        reasons: Every reason.
        subscribers: How each of them stands.
        redis_memory_used: Share of its memory that Redis has used; null where it does not tell.
    """

    model_config = ConfigDict(frozen=True)

    ready: bool
    reasons: tuple[str, ...]
    subscribers: tuple[Subscriber, ...]
    redis_memory_used: float | None = None


async def readiness(database: Database) -> Readiness:
    """Check the database and every subscriber, all at the same time."""
    fault, memory, checked = await asyncio.gather(
        _database_fault(database),
        broker.memory(),
        asyncio.gather(*(_subscriber(consumer) for consumer in broker.consumers)),
    )
    faults = ([fault] if fault else []) + [fault for _, theirs in checked for fault in theirs]
    if memory is not None and memory.full:
        faults.append(f"redis: {memory.share:.0%} of its memory are used")
    reasons = tuple(dict.fromkeys(faults))
    return Readiness(
        ready=not reasons,
        reasons=reasons,
        subscribers=tuple(subscriber for subscriber, _ in checked),
        redis_memory_used=None if memory is None else round(memory.share, 3),
    )


def health_of(database: Database) -> Check:
    """Return what `serve_health` asks of a worker on this database: its readiness."""

    async def check() -> tuple[bool, Mapping[str, Any]]:
        state = await readiness(database)
        return state.ready, state.model_dump(exclude={"ready"})

    return check


async def _database_fault(database: Database) -> str | None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await probe(database.engine)
    except Exception as error:  # noqa: BLE001 — whatever it is, it is why we are not ready
        return f"database: {describe(error)}"
    return None


async def _subscriber(consumer: EventSubscriber[Any]) -> tuple[Subscriber, list[str]]:
    stream, group = consumer.stream.name, consumer.group
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            state = await consumer.state()
    except Exception as error:  # noqa: BLE001 — the same
        subscriber = Subscriber(stream=stream, group=group, running=consumer.running)
        return subscriber, [f"redis: {describe(error)}", *subscriber.faults]
    subscriber = Subscriber(
        stream=stream,
        group=group,
        running=state.running,
        lag=state.lag,
        pending=state.pending,
        oldest_pending_seconds=state.oldest_pending_seconds,
    )
    return subscriber, subscriber.faults
