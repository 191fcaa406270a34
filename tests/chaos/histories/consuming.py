"""A process that handles events as a member of a group, and what its group has stored."""

import asyncio
from typing import TYPE_CHECKING

from shared.generated.schemas import CommandReceived
from shared.streams import Delivery, Limits, StreamBroker, TryLaterError
from tests.chaos.histories.process import Process
from tests.chaos.histories.record import STREAM
from tests.chaos.histories.written import Key

if TYPE_CHECKING:
    from tests.chaos.histories.world import World

LIMITS = Limits(deliveries=4, claim_after=60.0, block=30.0, first_retry=1.0, last_retry=8.0)
BYSTANDER = 2
"""Deliveries that may count against an event that only stood beside a guilty one."""
HANDLING = 0.05
SLOW = 150.0


class Store:
    """A group's table and inbox; one call is one transaction."""

    def __init__(self) -> None:
        self.inbox: dict[Key, float] = {}

    def take(self, key: Key, now: float) -> bool:
        """Return whether the event is new, and remember it."""
        is_new = key not in self.inbox
        self.inbox.setdefault(key, now)
        return is_new

    def forget(self, before: float) -> None:
        """Forget what was handled before a time."""
        self.inbox = {key: at for key, at in self.inbox.items() if at >= before}


class Member:
    """A process that handles events as a member of a group."""

    def __init__(self, world: "World", group: str, number: int) -> None:
        self.world, self.group, self.number = world, group, number
        self.start()

    def start(self) -> None:
        """Start the process anew."""
        self.process = Process(self.world.clock, f"{self.group} {self.number}")
        self.process.slow = self.world.slow
        self._broker = StreamBroker()
        self._broker.subscribe_event(STREAM, group=self.group, limits=LIMITS)(self.handle)
        self.process.begin(self._consume())

    async def _consume(self) -> None:
        await self._broker.connect(self.world.server.url)
        await self._broker.start_consumers()

    async def handle(self, event: CommandReceived, delivery: Delivery) -> None:
        """Handle one event as its fate has it."""
        key = (delivery.source, delivery.event_id)
        record, mine = self.world.record, (self.group, key)
        update = record.updates.get(key)
        if update is None:
            record.surprises.append(f"{self.group} was given {key}, which nobody wrote")
            return
        fate = update.text.fates[self.group]
        kind = fate.kind if record.tries[mine] < fate.times and not self.world.mended else "works"
        record.tries[mine] += 1
        await asyncio.sleep(HANDLING / 5)
        if kind == "raises":
            record.blame[mine] += 1
            raise ValueError("cannot be handled")
        if kind == "later":
            raise TryLaterError("away")
        if kind == "kills":
            record.blame[mine] += 1
            self.process.doomed = True
        await asyncio.sleep(SLOW if kind == "slow" else HANDLING)
        if self.process.dead:
            raise asyncio.CancelledError
        if self.world.stores[self.group].take(key, self.world.clock.time()):
            record.effects[mine] += 1
        if kind == "kills late":
            record.blame[mine] += 1
            self.process.doomed = True
            await asyncio.sleep(HANDLING)
