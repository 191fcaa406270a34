"""What a member of a group has in hand: entries that it was given and has not finished with.

A delivery counts when a handler begins, in the group's pending list and before the handler is
called, so that the count outlives the process. An entry is counted once when it is first read;
being claimed counts nothing.

An entry may kill the process that handles it, and takes down the handlers beside it, which are
counted as well. So what others have left behind twice is handled alone: nothing else runs
meanwhile, and the next death is the entry's own. Those with the fewest deliveries go first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Generic, TypeVar

import structlog
from pydantic import BaseModel

from shared.process import Backoff, describe
from shared.streams.consume.group import Entry, Group
from shared.streams.consume.limits import Limits
from shared.streams.consume.turns import Turns
from shared.streams.dead_letters.letters import DeadLetter, other_fields
from shared.streams.errors import TryLaterError
from shared.streams.event.envelope import (
    FIELD_BYTES,
    EventStream,
    MalformedError,
    Received,
    receive,
)
from shared.streams.retry import RedisOutage, until_answered

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

TOGETHER = 2
"""Deliveries without an outcome after which an entry is handled alone."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a handler is told about the entry that it handles; `attempt` counts from 1.

    An event is identified by its source and id together, as CloudEvents has it.
    """

    event_id: str
    stream: str
    entry_id: str
    attempt: int
    source: str


Handler = Callable[[M, Delivery], Awaitable[None]]


class Hand(Generic[M]):
    """Sees every entry through that is put into it: handled and acknowledged, or buried."""

    def __init__(
        self,
        group: Group,
        stream: EventStream[M],
        handler: Handler[M],
        limits: Limits,
        turns: Turns,
    ) -> None:
        self._group = group
        self._stream = stream
        self._handler = handler
        self._limits = limits
        # Where fewer deliveries are allowed, an entry is tried alone once before it is buried.
        self._survivable = max(limits.deliveries, TOGETHER + 1)
        self._turns = turns
        self._slots = turns.open(limits.concurrency)
        self._handling = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._finished: list[str] = []
        self._acknowledger: asyncio.Task[None] | None = None
        self._writing = RedisOutage("acknowledge")

    def __len__(self) -> int:
        """Return how many entries are in hand."""
        return len(self._tasks)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the entries in hand."""
        return list(self._tasks)

    def take(self, entries: Iterable[Entry]) -> None:
        """Begin to handle entries; what has been left behind least often goes first."""
        for entry in sorted(entries, key=attrgetter("deliveries")):
            if entry.id in self._tasks:
                continue
            task = asyncio.create_task(self._see_through(entry), name=f"handle {entry.id}")
            self._tasks[entry.id] = task
            task.add_done_callback(partial(self._let_go, entry.id))

    async def some_finished(self, seconds: float) -> None:
        """Return when an entry is finished with, or after some seconds."""
        if self._tasks:
            await asyncio.wait(
                self._tasks.values(), return_when=asyncio.FIRST_COMPLETED, timeout=seconds
            )

    async def drain(self) -> list[str]:
        """Let running handlers finish; return what only waits for another try, given up."""
        while self._tasks and self._handling:
            await self.some_finished(0.1)
        waiting = self.ids
        await _end(self._tasks.values())
        if self._acknowledger is not None:
            await self._acknowledger
        return waiting

    async def drop(self) -> None:
        """Stop everything at once; what was in hand stays pending in the group."""
        await _end(self._tasks.values())
        if self._acknowledger is not None:
            await _end([self._acknowledger])

    def _let_go(self, id_: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(id_, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("entry dropped from hand", entry=id_, exc_info=task.exception())

    async def _see_through(self, entry: Entry) -> None:
        """Handle one entry until it is acknowledged or buried."""
        try:
            received = receive(self._stream, entry.fields)
        except MalformedError as error:
            await self._bury(entry, error, f"malformed: {error}", entry.deliveries)
            return
        if entry.claimed and entry.deliveries >= self._survivable:
            reason = f"given out {entry.deliveries} times without an outcome"
            await self._bury(entry, received, reason, entry.deliveries)
            return
        attempt = entry.deliveries + entry.claimed
        failures = Backoff(self._limits.first_retry, self._limits.last_retry)
        absences = Backoff(self._limits.first_retry, self._limits.last_retry)
        while True:
            delivery = Delivery(
                received.event_id, self._stream.name, entry.id, attempt, received.source
            )
            try:
                if not await self._handle(entry, received.event, delivery):
                    return
            except TryLaterError as error:
                log.warning("handler cannot work now", entry=entry.id, reason=describe(error))
                # This was an outcome: whatever ends the process from now on is not its doing.
                entry = replace(entry, deliveries=attempt - 1, claimed=True)
                again = partial(self._group.redeliver, entry.id, entry.deliveries)
                if not await until_answered(again, self._writing):
                    return
                await asyncio.sleep(absences.next())
            except Exception as error:  # noqa: BLE001 — whatever a handler raises is its failure
                if attempt >= self._limits.deliveries:
                    await self._bury(entry, received, describe(error), attempt)
                    return
                log.warning(
                    "handler failed", entry=entry.id, attempt=attempt, reason=describe(error)
                )
                await asyncio.sleep(failures.next())
                attempt += 1
            else:
                self._acknowledge(entry.id)
                return

    async def _handle(self, entry: Entry, event: M, delivery: Delivery) -> bool:
        """Call the handler in its turn; False where the entry is finished with already."""
        self._handling += 1
        try:
            async with self._turn(entry):
                if entry.claimed or delivery.attempt > 1:
                    again = partial(self._group.redeliver, entry.id, delivery.attempt)
                    if not await until_answered(again, self._writing):
                        return False
                await self._handler(event, delivery)
                return True
        finally:
            self._handling -= 1

    @asynccontextmanager
    async def _turn(self, entry: Entry) -> AsyncIterator[None]:
        """Wait for a slot, or for all of them where the entry may be one that kills."""
        if entry.claimed and entry.deliveries >= TOGETHER:
            async with self._turns.alone():
                yield
        else:
            async with self._slots:
                yield

    async def _bury(
        self, entry: Entry, event: Received[M] | MalformedError, reason: str, deliveries: int
    ) -> None:
        letter = DeadLetter(
            event_id=event.event_id,
            source=event.source,
            payload=entry.fields.get(FIELD_BYTES, b""),
            reason=reason,
            group=self._group.name,
            entry_id=entry.id,
            deliveries=deliveries,
            others=other_fields(entry.fields),
        )
        # An entry that is no event is nobody's double: it is kept, whatever its id.
        is_event = isinstance(event, Received)
        bury = partial(self._group.bury, entry.id, letter, is_event=is_event)
        if await until_answered(bury, self._writing):
            log.error("entry moved to dead letters", entry=entry.id, reason=reason)

    def _acknowledge(self, id_: str) -> None:
        """Acknowledge soon, together with whatever else finishes meanwhile."""
        self._finished.append(id_)
        if self._acknowledger is None or self._acknowledger.done():
            self._acknowledger = asyncio.create_task(self._flush(), name="acknowledge")

    async def _flush(self) -> None:
        while self._finished:
            await asyncio.sleep(0)
            ids, self._finished = self._finished, []
            await until_answered(partial(self._group.acknowledge, ids), self._writing)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
