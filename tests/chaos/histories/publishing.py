"""A process that publishes: a bot, which contends for a lease as well, or another service."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError

import shared.streams.lease as leases
from shared.generated.events import telegram_update
from shared.streams import EventRefusedError, StreamBroker, StreamError
from tests.chaos.histories.process import Process
from tests.chaos.histories.record import STREAM
from tests.chaos.histories.written import Update

if TYPE_CHECKING:
    from tests.chaos.histories.world import World

LASTING = 40
"""How many times longer a lease lasts than in production, and all that has to do with it; a history
would consist of little but renewals."""


class Publishing:
    """A process that publishes what was written to one source.

    It publishes when it is told to, whether or not it holds the lease: Telegram gives two bots that
    poll the same updates, and the promise holds for them as well.
    """

    def __init__(self, world: "World", name: str, source: str) -> None:
        self.world, self.name, self.source = world, name, source
        self.contends = False
        self.start()

    def start(self) -> None:
        """Start the process anew; one that has contended for the lease does so again."""
        self.process = Process(self.world.clock, self.name)
        self.task: Any = None
        self.lease: leases.Lease | None = None
        self._broker: StreamBroker | None = None
        self._contending: Any = None
        if self.contends:
            self.contend()

    @property
    def busy(self) -> bool:
        """Whether a batch is under way."""
        return self.task is not None and not self.task.done()

    @property
    def runs(self) -> bool:
        """Whether the process does anything at all."""
        return not (self.process.dead or self.process.frozen)

    @property
    def holds(self) -> bool:
        """Whether the process takes itself for the holder of the lease."""
        return not self.process.dead and self.lease is not None and self.lease.held

    def poll(self, most: int) -> None:
        """Begin to publish the next updates that nobody has confirmed."""
        batch = self.world.unconfirmed(self.source)[:most]
        if batch and not self.busy:
            self.task = self.process.begin(self._publish(batch))

    def contend(self) -> None:
        """Begin to contend for the lease, and go on for as long as the process lives."""
        self.contends = True
        if self._contending is None and not self.process.dead:
            self._contending = self.process.begin(self._contend())

    def give_back(self) -> None:
        """Contend no more, and give the lease back where it is held."""
        self.contends = False
        if self._contending is not None and self.runs:
            self._contending.cancel()
            self._contending = None

    def oldest(self) -> list[datetime | None]:
        """Return since when there is what can be delivered still; nothing where nobody answers."""
        answers: list[datetime | None] = []
        if self.runs and self._broker is not None:
            self.process.begin(self._ask_oldest(self._broker, answers))
            self.process.run()
        return answers

    async def _connected(self) -> StreamBroker:
        if self._broker is None:
            self._broker = StreamBroker()
            await self._broker.connect(self.world.server.url, source=self.source)
            self._broker.outlet.publisher._clock.now = self.world.clock.time
        return self._broker

    async def _publish(self, batch: Sequence[Update]) -> None:
        broker = await self._connected()
        events = [(update.key[1], update.event) for update in batch]
        try:
            outcomes = await broker.publish_events(STREAM, events)
        except StreamError:
            return  # nobody knows; the process would end with this error
        for update, outcome in zip(batch, outcomes, strict=True):
            entry = "" if isinstance(outcome, EventRefusedError) else outcome.entry_id
            self.world.record.answered[update.key].append(entry)
        self.world.confirm(self.source, batch[-1].number)

    async def _contend(self) -> None:
        broker = await self._connected()
        self.lease = lease = await broker.lease(telegram_update, "42")
        try:
            while True:
                await lease.acquire()
                self.world.look_at_leases()
                await lease.lost()
        finally:
            await lease.release()

    async def _ask_oldest(self, broker: StreamBroker, answers: list[datetime | None]) -> None:
        with suppress(RedisError, asyncio.CancelledError):
            answers.append(await broker.oldest(STREAM))


@contextmanager
def lasting_leases() -> Iterator[None]:
    """Let leases last longer; what they promise is a matter of proportions."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LENGTH", "MARGIN", "RENEW_EVERY", "ASK_EVERY"):
            patch.setattr(leases, name, getattr(leases, name) * LASTING)
        yield
