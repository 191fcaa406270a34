"""Reading a stream in a consumer group: every entry is handled, or stands in the dead letters.

An entry stays in the group's pending list until its handler has returned, so a consumer that dies
loses nothing: another one claims what has been left alone for too long. A handler may therefore
see an event twice and stores the event's id in the same transaction as its effect.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog
from pydantic import BaseModel
from redis.exceptions import ResponseError

from shared.streams.envelope import FIELD_BYTES, EventStream, Malformed, decode
from shared.streams.errors import TryLater
from shared.streams.group import Entry, Group
from shared.streams.letters import DeadLetter
from shared.streams.retry import (
    UNKNOWN,
    Backoff,
    Outage,
    check_cancelled,
    describe,
    until_answered,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

CLAIM_AGAIN = 0.5
"""Seconds between two rounds of claiming while there is more than one round can take."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a handler is told about the entry that it handles; `attempt` counts from 1."""

    event_id: str
    stream: str
    entry_id: str
    attempt: int


Handler = Callable[[M, Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How a consumer reads and retries; times are seconds."""

    in_hand: int = 64
    """Entries that are read but not finished with."""
    concurrency: int = 8
    """Handlers that run at the same time."""
    deliveries: int = 8
    """How often an entry is handed to a handler before it goes to the dead letters."""
    block: float = 1.0
    """How long one read waits for new entries."""
    claim_after: float = 15.0
    """Idle time after which another consumer's pending entry counts as abandoned."""
    tidy_every: float = 300.0
    """Time between two rounds of trimming."""
    retention: float = 7 * 86400.0
    """Age from which entries are trimmed that every group has finished with."""
    first_retry: float = 0.2
    last_retry: float = 30.0


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """What a readiness check wants to know: is it running, and how far behind is its group.

    `lag` counts the entries that the group has not read yet (None where Redis cannot tell),
    `pending` those that it has read but not finished with.
    """

    stream: str
    group: str
    running: bool
    lag: int | None
    pending: int
    oldest_pending_seconds: float | None


class Consumer(Generic[M]):
    """Handles the entries of one stream as a member of one group, until it is stopped."""

    def __init__(
        self, stream: EventStream[M], group: str, handler: Handler[M], limits: Limits | None = None
    ) -> None:
        self.stream = stream
        self.group = group
        self._handler = handler
        self._limits = limits or Limits()
        self._task: asyncio.Task[None] | None = None
        self._group: Group | None = None

    @property
    def running(self) -> bool:
        """Whether it reads: started, and neither stopped nor ended by itself."""
        return self._task is not None and not self._task.done()

    def start(self, client: "Redis") -> asyncio.Task[None]:
        """Begin to read; the task that is returned ends when the consumer is stopped."""
        member = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._group = Group(client, self.stream.name, self.group, member)
        self._loop = _Loop(self._group, self.stream, self._handler, self._limits)
        self._task = asyncio.create_task(self._loop.run(), name=f"consume {self.stream.name}")
        return self._task

    async def stop(self, grace: float) -> None:
        """Read no more, let running handlers finish for `grace` seconds, hand over the rest."""
        if self._task is None:
            return
        self._loop.stopping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({self._task}, timeout=grace)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def state(self) -> ConsumerState:
        """Return the state; raises RedisError where Redis does not tell."""
        if self._group is None:
            return ConsumerState(self.stream.name, self.group, self.running, None, 0, None)
        state = await self._group.state()
        return ConsumerState(
            stream=self.stream.name,
            group=self.group,
            running=self.running,
            lag=state.lag,
            pending=state.pending,
            oldest_pending_seconds=state.oldest_pending_seconds,
        )


class _Loop(Generic[M]):
    """One run of a consumer, from its start to its stop."""

    def __init__(
        self, group: Group, stream: EventStream[M], handler: Handler[M], limits: Limits
    ) -> None:
        self.stopping = asyncio.Event()
        self._group = group
        self._stream = stream
        self._handler = handler
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._handling = 0
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._finished: list[str] = []
        self._acknowledger: asyncio.Task[None] | None = None
        self._outage = Outage("consume")
        self._writing = Outage("acknowledge")

    async def run(self) -> None:
        """Read and handle until told to stop, then drain."""
        keeper = asyncio.create_task(self._keep_house(), name=f"keep {self._stream.name}")
        try:
            await self._read()
            await self._drain()
        finally:
            tasks = [keeper, *self._in_hand.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._acknowledger is not None:
                self._acknowledger.cancel()
                await asyncio.gather(self._acknowledger, return_exceptions=True)

    async def _read(self) -> None:
        """Hand every new entry to a task of its own, never more than `in_hand` at a time."""
        backoff = Backoff()
        has_group = False
        while not self.stopping.is_set():
            check_cancelled()
            try:
                if not has_group:
                    await self._group.create()
                    has_group = True
                room = self._limits.in_hand - len(self._in_hand)
                if room <= 0:
                    await asyncio.wait(
                        self._in_hand.values(), return_when=asyncio.FIRST_COMPLETED, timeout=1.0
                    )
                    continue
                self._take(await self._group.read(room, self._limits.block))
            except UNKNOWN as error:
                if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
                    has_group = False
                self._outage.failed(error)
                await self._pause(backoff.next())
            else:
                self._outage.worked()
                backoff.reset()

    def _take(self, entries: list[Entry]) -> None:
        """Start to handle entries that this member has been given."""
        for entry in entries:
            if entry.id in self._in_hand:
                continue
            task = asyncio.create_task(self._see_through(entry), name=f"handle {entry.id}")
            self._in_hand[entry.id] = task
            task.add_done_callback(partial(self._let_go, entry.id))

    def _let_go(self, id_: str, task: asyncio.Task[None]) -> None:
        self._in_hand.pop(id_, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("entry dropped from hand", entry=id_, exc_info=task.exception())

    async def _see_through(self, entry: Entry) -> None:
        """Handle one entry until it is acknowledged or buried."""
        try:
            event_id, event = decode(self._stream, entry.fields)
        except Malformed as error:
            await self._bury(entry, "", f"malformed: {error}", entry.deliveries)
            return
        attempt = entry.deliveries
        if attempt > self._limits.deliveries:
            reason = f"given out {attempt - 1} times without an outcome"
            await self._bury(entry, event_id, reason, attempt)
            return
        failures = Backoff(self._limits.first_retry, self._limits.last_retry)
        absences = Backoff(self._limits.first_retry, self._limits.last_retry)
        while True:
            try:
                await self._handle(event, Delivery(event_id, self._stream.name, entry.id, attempt))
            except TryLater as error:
                log.warning("handler cannot work now", entry=entry.id, reason=describe(error))
                await asyncio.sleep(absences.next())
            except Exception as error:  # noqa: BLE001 — whatever a handler raises is its failure
                if attempt >= self._limits.deliveries:
                    await self._bury(entry, event_id, describe(error), attempt)
                    return
                log.warning(
                    "handler failed", entry=entry.id, attempt=attempt, reason=describe(error)
                )
                await asyncio.sleep(failures.next())
                attempt += 1
                again = partial(self._group.redeliver, entry.id, attempt)
                if not await until_answered(again, self._writing):
                    return
            else:
                self._acknowledge(entry.id)
                return

    async def _handle(self, event: M, delivery: Delivery) -> None:
        """Call the handler, no more than `concurrency` at a time."""
        self._handling += 1
        try:
            async with self._slots:
                await self._handler(event, delivery)
        finally:
            self._handling -= 1

    async def _bury(self, entry: Entry, event_id: str, reason: str, deliveries: int) -> None:
        letter = DeadLetter(
            event_id=event_id,
            payload=entry.fields.get(FIELD_BYTES, b""),
            reason=reason,
            group=self._group.name,
            entry_id=entry.id,
            deliveries=deliveries,
        )
        if await until_answered(partial(self._group.bury, entry.id, letter), self._writing):
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

    async def _keep_house(self) -> None:
        """Claim what dead members left, keep others off what is in hand, trim."""
        next_tidy = monotonic()
        while True:
            check_cancelled()
            pause = self._limits.claim_after / 3
            try:
                if self._in_hand:
                    await self._group.keep(self._in_hand)
                # Room of its own: a backlog that fills the reader's must not hold this back.
                room = 2 * self._limits.in_hand - len(self._in_hand)
                if room > 0 and not self.stopping.is_set():
                    abandoned = await self._group.claim(room, self._limits.claim_after)
                    self._take(abandoned)
                    pause = CLAIM_AGAIN if len(abandoned) == room else pause
                if monotonic() >= next_tidy:
                    trimmed, forgotten = await self._group.tidy(self._limits.retention)
                    next_tidy = monotonic() + self._limits.tidy_every
                    if trimmed or forgotten:
                        log.info("stream tidied", trimmed=trimmed, consumers=forgotten)
            except UNKNOWN as error:
                log.debug("housekeeping put off", reason=describe(error))
            await asyncio.sleep(pause)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _drain(self) -> None:
        """Let running handlers finish; hand over at once what only waits for another try."""
        while self._in_hand and self._handling:
            await asyncio.wait(
                self._in_hand.values(), return_when=asyncio.FIRST_COMPLETED, timeout=0.1
            )
        waiting = list(self._in_hand)
        for task in list(self._in_hand.values()):
            task.cancel()
        await asyncio.gather(*self._in_hand.values(), return_exceptions=True)
        if self._acknowledger is not None:
            await self._acknowledger
        if waiting:
            with suppress(*UNKNOWN):
                await self._group.keep(waiting, idle=self._limits.claim_after + 1)
