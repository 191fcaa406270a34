"""Members of a group: a handler that remembers, and what the group has not finished with."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from shared.streams import Delivery, Limits, StreamBroker
from tests.servers import RedisServer
from tests.shared.said import Said

FAST = Limits(block=0.05, claim_after=0.6, first_retry=0.01, last_retry=0.05, deliveries=3)
StartMember = Callable[..., Awaitable[StreamBroker]]
"""Starts one more member of a group, in a broker of its own."""


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def pending(server: RedisServer, group: str = "g") -> int:
    """Return how many entries a group has not finished with."""
    client = server.client()
    if not client.exists("said") or not client.xinfo_groups("said"):
        return 0
    summary: Any = client.xpending("said", group)
    return int(summary["pending"])


class Recorder:
    """A handler that remembers what it was given and can fail on demand."""

    def __init__(self, *failures: BaseException) -> None:
        self.seen: list[tuple[int, int]] = []
        self.failures = list(failures)

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the events that were handled without a failure."""
        return [number for number, _ in self.seen]

    async def __call__(self, event: Said, delivery: Delivery) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.seen.append((event.number, delivery.attempt))
