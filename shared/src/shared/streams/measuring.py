"""What metrics ask Redis for at each scrape: how far groups are, how full and how safe it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from shared.metrics import catalogue, measure_at_scrape
from shared.streams.consume.state import ConsumerState
from shared.streams.server.memory import Memory


class Consuming(Protocol):
    """A consumer, as far as it is measured."""

    async def state(self) -> ConsumerState:
        """Return how far its group has come."""


def measure_streams(
    consumers: Callable[[], Sequence[Consuming]],
    memory: Callable[[], Awaitable[Memory | None]],
    backup_time: Callable[[], Awaitable[float | None]],
) -> None:
    """Have a process's groups, its server's memory and backups measured at each scrape."""

    async def groups() -> None:
        states = await asyncio.gather(*(consumer.state() for consumer in consumers()))
        for state in states:
            where = (state.stream, state.group)
            catalogue.LAG.set(state.lag, *where)
            catalogue.LAG_SECONDS.set(state.lag_seconds, *where)
            catalogue.PENDING.set(state.pending, *where)
            catalogue.OLDEST_PENDING.set(state.oldest_pending_seconds, *where)

    async def server() -> None:
        used = await memory()
        if used is not None:
            catalogue.MEMORY_USED.set(used.used)
            catalogue.MEMORY_LIMIT.set(used.most or None)

    async def backups() -> None:
        catalogue.BACKUP_TIME.set(await backup_time())

    measure_at_scrape("backups", backups, catalogue.BACKUP_TIME)
    measure_at_scrape(
        "groups",
        groups,
        *(catalogue.LAG, catalogue.LAG_SECONDS, catalogue.PENDING, catalogue.OLDEST_PENDING),
    )
    measure_at_scrape("memory", server, catalogue.MEMORY_USED, catalogue.MEMORY_LIMIT)
