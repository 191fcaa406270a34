"""What a history acts on: processes, a server, users who write, and a memory of all that happened.

Two bots publish what users write, as Telegram repeats it; another service publishes under the same
ids, which are its own. Two groups handle every event, each with a store of its own.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json
from redis.exceptions import OutOfMemoryError, RedisError

from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import (
    Delivery,
    EventRefusedError,
    Limits,
    StreamBroker,
    StreamError,
    TryLaterError,
)
from shared.streams.dead_letters.graveyard import Graveyard, NotReplayableError
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD_BYTES
from tests.chaos.histories.clock import ServerWithClock
from tests.chaos.histories.process import Process

STREAM = command_received
GROUPS = ("table", "mail")
MEMBERS = {"table": 2, "mail": 1}
BOT, CRON = "/tg_bot", "/cron"
LIMITS = Limits(deliveries=4, claim_after=15.0, block=5.0, first_retry=0.5, last_retry=8.0)
BYSTANDER = 2
"""Deliveries that may count against an event that only stood beside a guilty one."""
DAY = 86400.0
HANDLING = 0.05
TOO_LARGE = "x" * 70_000
RESTART_AFTER = 1.0

Key = tuple[str, str]
"""CloudEvents source and id: what makes an event that event."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens the first `times` that a group's handler has an event; then all is well."""

    kind: str = "works"
    times: int = 0


@dataclass(slots=True)
class Update:
    """Something that was written, once."""

    number: int
    source: str
    user: int
    fates: dict[str, Fate]
    too_large: bool
    written: float

    @property
    def key(self) -> Key:
        """Return the event's identity."""
        return self.source, f"42:{self.number}"

    @property
    def event(self) -> CommandReceived:
        """Return the event."""
        text = f"/command {self.source} {self.number}"
        return CommandReceived(
            command=text + (TOO_LARGE if self.too_large else ""),
            args=text.split()[1:],
            user_id=self.user,
            timestamp=datetime(2026, 1, 31, tzinfo=UTC),
        )


@dataclass(slots=True)
class Record:
    """What the history has seen happen; nothing is ever taken out."""

    updates: dict[Key, Update] = field(default_factory=dict)
    entries: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    replayed: set[str] = field(default_factory=set)
    refused: Counter[Key] = field(default_factory=Counter)
    letters: dict[str, tuple[str, Key, dict[bytes, bytes]]] = field(default_factory=dict)
    effects: Counter[tuple[str, Key]] = field(default_factory=Counter)
    tries: Counter[tuple[str, Key]] = field(default_factory=Counter)
    blame: Counter[tuple[str, Key]] = field(default_factory=Counter)
    answered: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    garbage: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


class Store:
    """A group's table and inbox; one call is one transaction."""

    def __init__(self) -> None:
        self.inbox: dict[Key, float] = {}

    def take(self, key: Key, now: float) -> bool:
        """Return whether the event is new, and remember it."""
        return self.inbox.setdefault(key, now) == now


class Publishing:
    """A process that publishes what was written to one source."""

    def __init__(self, world: "World", name: str, source: str) -> None:
        self.world, self.name, self.source = world, name, source
        self.start()

    def start(self) -> None:
        """Start the process anew."""
        self.process = Process(self.world.clock, self.name)
        self.task: Any = None
        self.broker: Any = None

    @property
    def busy(self) -> bool:
        """Whether a batch is under way."""
        return self.task is not None and not self.task.done()

    def poll(self, most: int) -> None:
        """Begin to publish the next updates that nobody has confirmed."""
        batch = self.world.unconfirmed(self.source)[:most]
        if batch and not self.busy:
            self.task = self.process.begin(self._publish(batch))

    async def _publish(self, batch: Sequence[Update]) -> None:
        if self.broker is None:
            self.broker = StreamBroker()
            await self.broker.connect(self.world.server.url, source=self.source)
            self.broker.publisher_of_events._clock.now = self.world.clock.time
        events = [(update.key[1], update.event) for update in batch]
        try:
            outcomes = await self.broker.publish_events(STREAM, events)
        except StreamError:
            return  # nobody knows; the process would end with this error
        for update, outcome in zip(batch, outcomes, strict=True):
            refused = isinstance(outcome, EventRefusedError)
            self.world.record.answered[update.key].append("" if refused else outcome.entry_id)
        self.world.confirm(self.source, batch[-1].number)


class Member:
    """A process that handles events as a member of a group."""

    def __init__(self, world: "World", group: str, number: int) -> None:
        self.world, self.group, self.number = world, group, number
        self.starts = 0.0
        self.start()

    def start(self) -> None:
        """Start the process anew."""
        self.process = Process(self.world.clock, f"{self.group} {self.number}")
        self.in_hand: Counter[Key] = Counter()
        self.broker = StreamBroker()
        self.broker.subscribe_event(STREAM, group=self.group, limits=LIMITS)(self.handle)
        self.process.begin(self._consume())

    async def _consume(self) -> None:
        await self.broker.connect(self.world.server.url)
        await self.broker.start_consumers()

    async def handle(self, event: CommandReceived, delivery: Delivery) -> None:
        """Handle one event as its fate has it."""
        key = (delivery.source, delivery.event_id)
        self.in_hand[key] += 1
        try:
            await self._handle(key)
        finally:
            self.in_hand[key] -= 1

    async def _handle(self, key: Key) -> None:
        record, mine = self.world.record, (self.group, key)
        update = record.updates.get(key)
        if update is None:
            record.surprises.append(f"{self.group} was given {key}, which nobody wrote")
            return
        fate = update.fates[self.group]
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
            self.die()
        await asyncio.sleep(40.0 if kind == "slow" else HANDLING)
        if self.process.dead:
            raise asyncio.CancelledError
        if self.world.stores[self.group].take(key, self.world.clock.time()):
            record.effects[mine] += 1
        if kind == "kills late":
            record.blame[mine] += 1
            self.die()
            await asyncio.sleep(HANDLING)

    def die(self) -> None:
        """Let the process be killed before it does anything else."""
        self.process.doomed = True


class World:
    """Everything that there is, and what may happen to it."""

    def __init__(self, server: ServerWithClock) -> None:
        self.server, self.clock = server, server.clock
        self.client: Any = server.client()
        self.client.flushall()
        self.client.config_set("maxmemory", 0)
        self.full = self.mended = False
        self.record = Record()
        self.stores = {group: Store() for group in GROUPS}
        self._confirmed = {BOT: 0, CRON: 0}
        self._seen = {STREAM.name: "-", STREAM.dead_letters: "-"}
        self.publishing = [
            Publishing(self, "bot 0", BOT),
            Publishing(self, "bot 1", BOT),
            Publishing(self, "cron", CRON),
        ]
        self.members = [Member(self, g, n) for g in GROUPS for n in range(MEMBERS[g])]

    # Users

    def write(self, source: str, user: int, fates: dict[str, Fate], *, too_large: bool) -> None:
        """Let a user write something."""
        number = 1 + sum(update.source == source for update in self.record.updates.values())
        update = Update(number, source, user, fates, too_large, self.clock.time())
        self.record.updates[update.key] = update

    def unconfirmed(self, source: str) -> list[Update]:
        """Return what is still to be published; nobody repeats it after a day."""
        since = self.clock.time() - DAY
        return [
            update
            for update in self.record.updates.values()
            if update.source == source
            and update.number > self._confirmed[source]
            and update.written > since
        ]

    def confirm(self, source: str, number: int) -> None:
        """Take note that everything up to a number is published."""
        self._confirmed[source] = max(self._confirmed[source], number)

    # Time

    @property
    def workers(self) -> list[Publishing | Member]:
        """Return everything that is a process, in the order in which they run."""
        return [*self.publishing, *self.members]

    def settle(self) -> None:
        """Let everybody work until all wait for time to pass."""
        while sum(worker.process.run() for worker in self.workers):
            pass
        self.look()

    def run(self, seconds: float) -> None:
        """Let time pass; what died is started again."""
        until = self.clock.monotonic() + seconds
        while True:
            self.settle()
            self.restart()
            moment = min(worker.process.next_timer() for worker in self.workers)
            if moment > until:
                break
            self.clock.forward(moment)
        self.clock.forward(until)
        self.settle()

    def sleep(self, seconds: float) -> None:
        """Let everybody sleep, as a suspended machine does."""
        self.settle()
        self.disturb()
        self.clock.forward(self.clock.monotonic() + seconds)
        self.settle()

    def restart(self) -> None:
        """Start what has died."""
        for worker in self.workers:
            if worker.process.dead:
                worker.start()

    # Faults

    def restart_server(self) -> None:
        """Kill the server and start it again."""
        self.settle()
        self.disturb()
        self.server.kill()
        self.server.start()
        if self.full:
            self.fill()

    def fill(self) -> None:
        """Leave the server no room."""
        self.full = True
        self.client.config_set("maxmemory", 1)

    def make_room(self) -> None:
        """Give the server room again."""
        self.full = False
        self.client.config_set("maxmemory", 0)

    def freeze(self, worker: Publishing | Member) -> None:
        """Stop a process where it stands."""
        worker.process.frozen = True
        self.disturb()

    def kill(self, worker: Publishing | Member) -> None:
        """Kill a process."""
        worker.process.kill()
        self.disturb()

    def disturb(self) -> None:
        """Take note that a delivery may have failed through no fault of an event."""
        for group in GROUPS:
            for key in self.record.updates:
                self.record.blame[group, key] += 1

    def foreign(self, fields: dict[bytes, bytes]) -> None:
        """Let somebody else write an entry that is none of ours."""
        self.look()
        entry = self.client.xadd(STREAM.name, fields).decode()
        self.record.garbage[entry] = fields
        self._seen[STREAM.name] = f"({entry}"

    def forget(self) -> None:
        """Let the stores forget what cannot come again, as the backend does."""
        for worker in self.publishing:
            if worker.process.dead or worker.process.frozen or worker.broker is None:
                continue
            answers: list[Any] = []
            worker.process.begin(_oldest(worker.broker, answers))
            worker.process.run()
            if not answers:
                continue
            kept = self.clock.time() - STREAM.retention
            (oldest,) = answers
            horizon = min(kept, oldest.timestamp() if oldest else kept) - DAY
            for store in self.stores.values():
                store.inbox = {k: at for k, at in store.inbox.items() if at >= horizon}
            return

    # Dead letters

    def replay(self, which: int | None) -> None:
        """Replay one letter, or all as they were listed."""
        graveyard = Graveyard(self.client, {STREAM.name: STREAM})
        listed = list(graveyard.letters(STREAM.name))
        for letter in listed if which is None else listed[which : which + 1]:
            self.look()
            with suppress(NotReplayableError, OutOfMemoryError):
                graveyard.replay(letter)
            self.look(replaying=True)

    def drop(self, which: int) -> None:
        """Drop one letter."""
        graveyard = Graveyard(self.client, {STREAM.name: STREAM})
        for letter in list(graveyard.letters(STREAM.name))[which : which + 1]:
            graveyard.drop(letter)

    # Looking

    def look(self, *, replaying: bool = False) -> None:
        """Take note of every new entry and every new letter."""
        for id_, fields in self._new(STREAM.name):
            key = key_of(fields)
            if key not in self.record.updates:
                self.record.surprises.append(f"entry {id_} is of {key}, which nobody wrote")
                continue
            self.record.entries[key].append(id_)
            if replaying:
                self.record.replayed.add(id_)
        for id_, fields in self._new(STREAM.dead_letters):
            letter = DeadLetter.parse(fields)
            # One that was refused for lack of room has no content.
            key, group = key_of(fields) or (letter.source, letter.event_id), letter.group
            self.record.letters[id_] = (group, key, fields)
            if not group:
                self.record.refused[key] += 1

    def _new(self, name: str) -> list[tuple[str, dict[bytes, bytes]]]:
        new = [(id_.decode(), f) for id_, f in self.client.xrange(name, min=self._seen[name])]
        if new:
            self._seen[name] = f"({new[-1][0]}"
        return new

    def close(self) -> None:
        """End every process."""
        for worker in self.workers:
            worker.process.thaw()
            worker.process.kill()
        self.client.close()


async def _oldest(broker: StreamBroker, answers: list[Any]) -> None:
    with suppress(RedisError):
        answers.append(await broker.oldest(STREAM))


def key_of(fields: dict[bytes, bytes]) -> Key | None:
    """Return which event an entry or a letter holds, if it is one of those that were written."""
    try:
        envelope = from_json(fields[FIELD_BYTES])
        return str(envelope["source"]), str(envelope["id"])
    except (ValueError, KeyError, TypeError):
        return None
