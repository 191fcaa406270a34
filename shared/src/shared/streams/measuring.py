"""What is measured at each scrape: of a process's consumers, and of the server they stand on."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from shared.metrics import catalogue, measure_at_scrape
from shared.streams.consume.state import ConsumerState
from shared.streams.event.envelope import EventStream
from shared.streams.server.memory import Memory


class Consuming(Protocol):
    """A consumer, as far as it is measured."""

    stream: EventStream[Any]

    @property
    def in_hand(self) -> int | None:
        """Return how many entries it has in hand; None where it was never started."""

    async def state(self) -> ConsumerState:
        """Return how far its group has come."""


def measure_consumers(consumers: Callable[[], Sequence[Consuming]]) -> None:
    """Have measured at each scrape how far a process's groups are, and what it has in hand."""

    async def in_hand() -> None:
        held: Counter[str] = Counter()
        for consumer in consumers():
            if (count := consumer.in_hand) is not None:
                held[consumer.stream.name] += count
        for stream, count in held.items():
            catalogue.IN_HAND.set(count, stream)

    async def groups() -> None:
        states = await asyncio.gather(*(consumer.state() for consumer in consumers()))
        for state in states:
            where = (state.stream, state.group)
            catalogue.LAG.set(state.lag, *where)
            catalogue.LAG_SECONDS.set(state.lag_seconds, *where)
            catalogue.PENDING.set(state.pending, *where)
            catalogue.OLDEST_PENDING.set(state.oldest_pending_seconds, *where)

    measure_at_scrape("in hand", in_hand, catalogue.IN_HAND)
    measure_at_scrape(
        "groups",
        groups,
        *(catalogue.LAG, catalogue.LAG_SECONDS, catalogue.PENDING, catalogue.OLDEST_PENDING),
    )


def measure_server(
    memory: Callable[[], Awaitable[Memory | None]],
    backup_time: Callable[[], Awaitable[float | None]],
    dead_letters: Callable[[], Awaitable[Mapping[str, int]]],
) -> None:
    """Have measured at each scrape how full and how safe a server is, and its dead letters."""

    async def used() -> None:
        answer = await memory()
        if answer is not None:
            catalogue.MEMORY_USED.set(answer.used)
            catalogue.MEMORY_LIMIT.set(answer.most or None)

    async def backups() -> None:
        catalogue.BACKUP_TIME.set(await backup_time())

    async def letters() -> None:
        for stream, count in (await dead_letters()).items():
            catalogue.STANDING.set(count, stream)

    measure_at_scrape("backups", backups, catalogue.BACKUP_TIME)
    measure_at_scrape("dead letters", letters, catalogue.STANDING)
    measure_at_scrape("memory", used, catalogue.MEMORY_USED, catalogue.MEMORY_LIMIT)
