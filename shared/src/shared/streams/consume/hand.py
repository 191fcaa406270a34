"""What a member of a group has in hand: entries that it was given and has not finished with.

A delivery counts when a handler begins, in the group's pending list and before the handler is
called, so that the count outlives the process. An entry is counted once when it is first read;
being claimed counts nothing.

An entry may kill the process that handles it, and takes down the handlers beside it, which are
counted as well. So what others have left behind twice is handled alone: nothing else runs
until its outcome is written, and the next death is the entry's own. Those with the fewest
deliveries go first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Generic, TypeVar

import structlog
from faststream.exceptions import AckMessage, RejectMessage, SkipMessage, StopConsume
from pydantic import BaseModel

from shared.metrics import catalogue
from shared.process import Backoff, describe
from shared.streams.consume.calling import measured
from shared.streams.consume.delivery import DeliveryInfo
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
from shared.streams.retry import UNKNOWN, RedisOutage, until_answered
from shared.streams.server.primary import PrimaryChangedError
from shared.tracing import processing

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

TOGETHER = 2
"""Deliveries without an outcome after which an entry is handled alone."""
HOPELESS = (RejectMessage, MalformedError)
"""What a handler raises where trying again mends nothing."""

Handle = Callable[[Entry, Received[M], DeliveryInfo], Awaitable[None]]
"""Calls the handler for one attempt; what it raises is what became of it."""


class Hand(Generic[M]):
    """Sees every entry through that is put into it: handled and acknowledged, or buried."""

    def __init__(
        self,
        group: Group,
        stream: EventStream[M],
        handle: Handle[M],
        limits: Limits,
        turns: Turns,
    ) -> None:
        self._group = group
        self._stream = stream
        self._call = handle
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
        self.stop: Callable[[], None] = lambda: None

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
        self._finished.clear()

    def _let_go(self, id_: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(id_, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PrimaryChangedError):
            log.error("entry dropped from hand", entry=id_, exc_info=error)

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
            delivery = DeliveryInfo(
                received.event_id, self._stream.name, entry.id, attempt, received.source
            )
            try:
                if not await self._handle(entry, received, delivery):
                    return
            except TryLaterError as error:
                entry = replace(entry, deliveries=attempt - 1, claimed=True)
                await self._put_off(delivery, absences, error)
            except PrimaryChangedError:
                raise  # the entry's id means another one now
            except Exception as error:  # noqa: BLE001 — whatever a handler raises is its failure
                await self._failed(delivery, attempt, error)
                if attempt >= self._limits.deliveries or isinstance(error, HOPELESS):
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

    async def _handle(self, entry: Entry, received: Received[M], delivery: DeliveryInfo) -> bool:
        """Call the handler in its turn; False where the entry is not to be acknowledged now."""
        self._handling += 1
        try:
            async with self._turn(entry):
                if entry.claimed or delivery.attempt > 1:
                    catalogue.RETRIES.add(self._stream.name, self._group.name)
                    if not await self._count(entry, delivery.attempt):
                        return False
                traced = processing(
                    *(self._stream.name, self._group.name, delivery.event_id, delivery.attempt),
                    entry.fields[FIELD_BYTES],
                )
                try:
                    with traced, measured(self._stream.name), suppress(AckMessage, SkipMessage):
                        await self._call(entry, received, delivery)
                except TryLaterError:
                    # This was an outcome: what ends the process from now on is not its doing.
                    if await self._count(entry, delivery.attempt - 1):
                        raise
                    return False
                if not _is_suspect(entry):
                    return True
                finished = partial(self._group.acknowledge, [entry.id])
                await until_answered(finished, self._writing)
                return False
        except StopConsume:
            log.warning("a handler ends its consumer", entry=entry.id)
            self.stop()
            return False
        finally:
            self._handling -= 1

    async def _count(self, entry: Entry, deliveries: int) -> bool:
        """Write down how many deliveries had no outcome; False where it is finished with."""
        again = partial(self._group.redeliver, entry.id, deliveries)
        return await until_answered(again, self._writing)

    async def _failed(self, delivery: DeliveryInfo, number: int, error: Exception) -> None:
        """Keep why an attempt failed, where Redis takes it now."""
        with suppress(*UNKNOWN):
            await self._group.failed(delivery, number, describe(error))

    async def _put_off(self, delivery: DeliveryInfo, absences: Backoff, error: Exception) -> None:
        """Wait, and keep why the first time: what is away for long would crowd out the others."""
        log.warning("handler cannot work now", entry=delivery.entry_id, reason=describe(error))
        if not absences.failures:
            await self._failed(delivery, 0, error)
        await asyncio.sleep(absences.next())

    @asynccontextmanager
    async def _turn(self, entry: Entry) -> AsyncIterator[None]:
        """Wait for a slot, or for all of them where the entry may be one that kills."""
        if _is_suspect(entry):
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
            catalogue.BURIED.add(self._stream.name, self._group.name)
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
            with suppress(PrimaryChangedError):  # nothing of this primary's is in hand any more
                await until_answered(partial(self._group.acknowledge, ids), self._writing)


def _is_suspect(entry: Entry) -> bool:
    """Whether the entry may be one that kills: it is handled alone."""
    return entry.claimed and entry.deliveries >= TOGETHER


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
