"""Idempotent publishing: an event is in its stream once, whatever was lost on the way.

Publishes that are under way at the same time share one script call, in the order in which they
were made, and one call is in flight at a time: a hundred commands cost one round trip and, with
`appendfsync always`, one fsync. Every error from Redis leaves the outcome unknown, so the same
call is made again until there is an answer; the script appends each source and id once.

What remembers an id runs out. So each call says until when it may append, by the server's clock:
one that a frozen process, or a socket, has held back for days appends nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import time
from typing import TYPE_CHECKING

from shared.process import check_cancelled
from shared.streams.errors import NO_ROOM, EventRefusedError, NotConnectedError
from shared.streams.event.envelope import MAX_ENTRY_BYTES, check_id
from shared.streams.publish.batches import Waiting, fail, settle
from shared.streams.publish.calls import Calls, Terms
from shared.streams.publish.observing import observed
from shared.streams.publish.outcomes import Outcome, Publication, too_large
from shared.streams.publish.recording import record_batch, record_refusal
from shared.streams.publish.room import Room
from shared.streams.retry import RedisOutage, until_answered
from shared.streams.server.clock import ServerClock
from shared.streams.server.replicated import ReplicatedLine

if TYPE_CHECKING:
    from redis.asyncio import Redis

PUBLISH_WITHIN = 24 * 3600
"""Seconds after which an event that was handed over is not appended any more.

Another publisher may have appended it, before it was handed over here by as long as Telegram
repeats an update: 24 hours. Its marker is then 48 hours old at most, and lives."""
MAX_BATCH = 500
"""Events in one script call; the server answers nobody else while a script runs, 2 ms for these."""


class Publisher:
    """Publishes and refuses events through one Redis client, each source and event id once.

    Args:
        client: the server.
        make_room: trims what can be trimmed; called where the server's memory is full.
        clock: this machine's clock, in seconds.
    """

    def __init__(
        self,
        client: "Redis",
        make_room: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time,
    ) -> None:
        self._clock = ServerClock(clock)
        self._calls = Calls(client, self._clock)
        self._room = Room(make_room)
        self._queue: deque[Waiting] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False
        self._outage = RedisOutage("publish")

    @property
    def replicated(self) -> ReplicatedLine | None:
        """Return what makes its calls to a Redis with copies; None where there is one copy."""
        return self._calls.replicated

    async def publish(self, stream: str, source: str, event_id: str, payload: bytes) -> Publication:
        """Append one event to a stream, once, and return where it stands.

        Waits for as long as Redis is away, and a bounded time while it is full. A caller who is
        cancelled meanwhile learns nothing of the outcome and may publish the same id again.

        Raises:
            EventRefusedError: too large, refused by an earlier call, or no room for it; it is
                in the dead letters.
            NotConnectedError: the publisher was closed before there was an answer.
            TooLateError: there was none for so long that nobody knows whether an earlier call has
                published the event; this one has not.
        """
        if len(payload) > MAX_ENTRY_BYTES:
            return await self.refuse(stream, source, event_id, payload, too_large(payload))
        (outcome,) = await self._enqueue(stream, source, ((check_id(event_id), payload),))
        if isinstance(outcome, EventRefusedError):
            raise outcome
        return outcome

    async def publish_group(
        self, stream: str, source: str, events: Sequence[tuple[str, bytes]]
    ) -> list[Publication | EventRefusedError]:
        """Append up to `MAX_BATCH` events, given as ids and payloads, in their order and each once.

        Far cheaper than as many `publish` calls: they share a task and a future as well.

        Returns:
            For each event where it stands, or why an earlier call has refused it.

        Raises:
            ValueError: an id could not be one; nothing was appended.
            NotConnectedError: the publisher was closed before there was an answer.
            TooLateError: as for `publish`; some of the events may have been appended.
        """
        for event_id, _ in events:
            check_id(event_id)
        return await self._enqueue(stream, source, events)

    async def refuse(
        self, stream: str, source: str, event_id: str, payload: bytes, reason: str
    ) -> Publication:
        """Put an event that cannot be published into the dead letters and mark its id.

        Returns:
            The publication, where an earlier call had already published the event.

        Raises:
            EventRefusedError: otherwise, once the refusal is durable.
            TooLateError: as for `publish`; this call has refused nothing.
        """
        answer = await observed(self._refuse(stream, source, event_id, payload, reason))
        record_refusal(stream, answer)
        if isinstance(answer, Publication):
            return answer
        raise answer

    async def _refuse(
        self, stream: str, source: str, event_id: str, payload: bytes, reason: str
    ) -> Outcome:
        terms = await self._terms(self._waiting(stream, source, ((check_id(event_id), payload),)))
        call = partial(self._calls.refuse, terms, event_id, payload, reason)
        answer = await self._room.ask(call, self._outage)
        if answer is None:
            answer = await self._room.insist(call, self._outage)
        if answer is None:
            answer = await self._give_up(terms, event_id, f"{reason}; {NO_ROOM}")
        return answer

    async def close(self) -> None:
        """Stop trying; callers who still wait get `NotConnectedError`."""
        self._closed = True
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        while self._queue:
            fail(self._queue.popleft(), NotConnectedError("the broker was closed"))
        await self._calls.close()

    async def _enqueue(
        self, stream: str, source: str, events: Sequence[tuple[str, bytes]]
    ) -> list[Publication | EventRefusedError]:
        if self._closed:
            raise NotConnectedError("the broker is closed")
        waiting = self._waiting(stream, source, events)
        self._queue.append(waiting)
        if self._flusher is None or self._flusher.done():
            # The task begins after everybody who publishes in this turn has joined the batch.
            self._flusher = asyncio.create_task(self._flush(), name="publish")
        return await observed(waiting.outcome)

    def _waiting(self, stream: str, source: str, events: Sequence[tuple[str, bytes]]) -> Waiting:
        now = self._clock.now()
        return Waiting(stream, source, events, now, self._clock.there(now))

    async def _flush(self) -> None:
        """Send what waits, a batch a call, until nothing waits."""
        while self._queue:
            check_cancelled()
            batch = self._next_batch()
            try:
                outcomes = await self._send(batch)
            except BaseException as error:
                stopped = NotConnectedError("the broker was closed")
                cause = stopped if isinstance(error, asyncio.CancelledError) else error
                for waiting in batch:
                    fail(waiting, cause)
                raise
            at = 0
            for waiting in batch:
                settle(waiting, outcomes[at : at + len(waiting.events)])
                at += len(waiting.events)
            if self._queue:
                await asyncio.sleep(0)  # who was just answered may publish again and join

    def _next_batch(self) -> list[Waiting]:
        """Take the longest run of waiting events that may share a call, in their order."""
        batch = [self._queue.popleft()]
        room = MAX_BATCH - len(batch[0].events)
        while self._queue and self._queue[0].joins(batch[0]):
            room -= len(self._queue[0].events)
            if room < 0:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _send(self, waiting: Sequence[Waiting]) -> list[Outcome]:
        """Return the outcomes of a batch's events, in their order: one call where it fits."""
        terms = await self._terms(waiting[0])
        outcomes = await self._append(terms, [event for each in waiting for event in each.events])
        record_batch(waiting, outcomes, self._clock.now())
        return outcomes

    async def _terms(self, waiting: Waiting) -> Terms:
        """Return the terms of a call for these events, and for those that may share it."""
        handed = waiting.handed_there
        if handed is None:
            if not self._clock.known:
                await until_answered(self._calls.ask_time, self._outage)
            handed = self._clock.there(waiting.handed) or 0.0
        return Terms(waiting.stream, waiting.source, int((handed + PUBLISH_WITHIN) * 1000))

    async def _append(self, terms: Terms, events: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        """Append events; where the server has no room for all of them, half of them at a time.

        What is on its way to the server counts as memory as well, so a part may fit where the
        whole does not. Nothing overtakes what has to wait.
        """
        call = partial(self._calls.append, terms, events)
        answers = await self._room.ask(call, self._outage)
        if answers is not None:
            return answers
        if len(events) > 1:
            half = len(events) // 2
            first = await self._append(terms, events[:half])
            return [*first, *await self._append(terms, events[half:])]
        answers = await self._room.insist(call, self._outage)
        if answers is not None:
            return answers
        event_id, _ = events[0]
        return [await self._give_up(terms, event_id, NO_ROOM)]

    async def _give_up(self, terms: Terms, event_id: str, reason: str) -> Outcome:
        """Refuse an event without its content, on a server that has no room for more."""
        call = partial(self._calls.refuse, terms, event_id, b"", reason, anyway=True)
        return await until_answered(call, self._outage)
