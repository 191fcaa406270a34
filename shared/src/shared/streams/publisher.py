"""Idempotent publishing: an event id is in its stream once, whatever was lost on the way.

Publishes that are under way at the same time share one script call, in the order in which they
were made, and one call is in flight at a time: a hundred commands cost one round trip and, with
`appendfsync always`, one fsync. Every error from Redis leaves the outcome unknown, so the same
call is made again until there is an answer; the script appends each id once.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from shared.keys import dead_letters_of, marker
from shared.streams.clock import ServerClock
from shared.streams.connection import SOCKET_TIMEOUT
from shared.streams.envelope import FIELD, MAX_ENTRY_BYTES, MAX_ID_LENGTH, is_attribute
from shared.streams.errors import EventRefused, NotConnected, TooLateError
from shared.streams.letters import DeadLetter
from shared.streams.line import Line
from shared.streams.retry import Outage, check_cancelled, until_answered
from shared.streams.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio import Redis

MARKER_LIFETIME = 72 * 3600
"""Seconds for which an event id is remembered; Telegram repeats an update for 24 hours."""
PUBLISH_WITHIN = 24 * 3600
"""Seconds after which an event that was handed over is not appended any more.

Another publisher may have appended it, at most as long before it was handed over here as Telegram
repeats an update: 24 hours. Its marker is then at most 48 hours old, and lives."""
TOGETHER = 60.0
"""Seconds between which events are handed over that share a script call, and its last moment."""
MAX_BATCH = 500
"""Events in one script call; the server answers nobody else while a script runs, 2 ms for these."""
DUPLICATE, REFUSED, LATE = "=", "!", "?"
"""How the publish script marks what it did not append; an entry id begins with a digit."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Where an event stands: the stream entry's id, and whether an earlier call put it there."""

    event_id: str
    entry_id: str
    duplicate: bool


_Outcome = Publication | EventRefused | TooLateError


@dataclass(slots=True)
class _Waiting:
    """Events of one stream on their way to Redis and the caller who waits for their outcomes."""

    stream: str
    source: str
    events: "Sequence[tuple[str, bytes]]"
    handed: float
    """When they were handed over, by this machine's clock."""
    handed_there: float | None
    """The same by the server's clock, where that was known then."""
    outcome: asyncio.Future[list[Publication | EventRefused]] = field(
        default_factory=asyncio.Future
    )

    def joins(self, other: "_Waiting") -> bool:
        """Whether both may share a script call."""
        return (self.stream, self.source) == (other.stream, other.source) and abs(
            self.handed - other.handed
        ) <= TOGETHER


class Publisher:
    """Publishes and refuses events through one Redis client, each source and event id once.

    Args:
        client: the server.
        clock: this machine's clock, in seconds.
    """

    def __init__(
        self,
        client: "Redis[bytes]",  # type: ignore[type-arg, unused-ignore]
        clock: "Callable[[], float]" = time,
    ) -> None:
        self._client = client
        self._clock = ServerClock(clock)
        self._publish = client.register_script(load_script("publish"))
        self._refuse = client.register_script(load_script("refuse"))
        self._line = Line(client, SOCKET_TIMEOUT)
        self._queue: deque[_Waiting] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False
        self._outage = Outage("publish")

    async def publish(self, stream: str, source: str, event_id: str, payload: bytes) -> Publication:
        """Append one event to a stream, once, and return where it stands.

        Waits for as long as Redis is away. A caller who is cancelled meanwhile learns nothing of
        the outcome and may publish the same id again.

        Raises:
            EventRefused: too large, or refused by an earlier call; it is in the dead letters.
            NotConnected: the publisher was closed before there was an answer.
            TooLateError: there was none for so long that nobody knows whether an earlier call has
                published the event; this one has not.
        """
        if len(payload) > MAX_ENTRY_BYTES:
            return await self.refuse(stream, source, event_id, payload, too_large(payload))
        (outcome,) = await self._enqueue(stream, source, ((check_id(event_id), payload),))
        if isinstance(outcome, EventRefused):
            raise outcome
        return outcome

    async def publish_group(
        self, stream: str, source: str, events: "Sequence[tuple[str, bytes]]"
    ) -> list[Publication | EventRefused]:
        """Append up to `MAX_BATCH` events, given as ids and payloads, in their order and each once.

        Far cheaper than as many `publish` calls: they share a task and a future as well.

        Returns:
            For each event where it stands, or why an earlier call has refused it.

        Raises:
            ValueError: an id could not be one; nothing was appended.
            NotConnected: the publisher was closed before there was an answer.
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
            EventRefused: otherwise, once the refusal is durable.
        """
        letter = DeadLetter(
            event_id=check_id(event_id), source=source, payload=payload, reason=reason
        )
        keys = [dead_letters_of(stream), marker(stream, event_id)]
        args = [MARKER_LIFETIME * 1000, reason, source, *letter.fields()]
        state, value = await until_answered(lambda: self._refuse(keys, args), self._outage)
        return _outcome(event_id, state, value)

    async def close(self) -> None:
        """Stop trying; callers who still wait get `NotConnected`."""
        self._closed = True
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        while self._queue:
            _fail(self._queue.popleft(), NotConnected("the broker was closed"))
        await self._line.close()

    async def _enqueue(
        self, stream: str, source: str, events: "Sequence[tuple[str, bytes]]"
    ) -> list[Publication | EventRefused]:
        if self._closed:
            raise NotConnected("the broker is closed")
        now = self._clock.now()
        waiting = _Waiting(stream, source, events, now, self._clock.there(now))
        self._queue.append(waiting)
        if self._flusher is None or self._flusher.done():
            # The task begins after everybody who publishes in this turn has joined the batch.
            self._flusher = asyncio.create_task(self._flush(), name="publish")
        return await waiting.outcome

    async def _flush(self) -> None:
        """Send what waits, a batch a call, until nothing waits."""
        while self._queue:
            check_cancelled()
            batch = self._next_batch()
            try:
                outcomes = await self._send(batch)
            except BaseException as error:
                stopped = NotConnected("the broker was closed")
                cause = stopped if isinstance(error, asyncio.CancelledError) else error
                for waiting in batch:
                    _fail(waiting, cause)
                raise
            at = 0
            for waiting in batch:
                _settle(waiting, *outcomes[at : at + len(waiting.events)])
                at += len(waiting.events)
            if self._queue:
                await asyncio.sleep(0)  # who was just answered may publish again and join

    async def _send(self, batch: "Sequence[_Waiting]") -> list[_Outcome]:
        """Make one script call and return the outcomes of its events."""
        first = batch[0]
        stream, source = first.stream, first.source
        not_after = (await self._handed_there(first) + PUBLISH_WITHIN) * 1000
        events = [event for waiting in batch for event in waiting.events]
        prefix = marker(stream, "")
        keys = [stream, *[prefix + event_id for event_id, _ in events]]
        args: list[Any] = [MARKER_LIFETIME * 1000, FIELD, source, int(not_after)]
        args += [payload for _, payload in events]
        call = partial(self._line.call, self._publish, keys, args)
        asked = self._clock.now()
        milliseconds, *answers = from_json(await until_answered(call, self._outage))
        self._clock.answered(asked, int(milliseconds) / 1000)
        return [
            _published(event_id, answer)
            for (event_id, _), answer in zip(events, answers, strict=True)
        ]

    async def _handed_there(self, waiting: _Waiting) -> float:
        """Return when events were handed over, by the server's clock."""
        if waiting.handed_there is not None:
            return waiting.handed_there
        if not self._clock.known:
            asked = self._clock.now()
            seconds, micros = await until_answered(self._client.time, self._outage)
            self._clock.answered(asked, seconds + micros / 1e6)
        return self._clock.there(waiting.handed) or 0.0

    def _next_batch(self) -> list[_Waiting]:
        """Take the longest run of waiting events for one stream, in their order."""
        batch = [self._queue.popleft()]
        room = MAX_BATCH - len(batch[0].events)
        while self._queue and self._queue[0].joins(batch[0]):
            room -= len(self._queue[0].events)
            if room < 0:
                break
            batch.append(self._queue.popleft())
        return batch


def check_id(event_id: str) -> str:
    """Return the event id, or raise ValueError where it could not be one."""
    if not 0 < len(event_id) <= MAX_ID_LENGTH:
        raise ValueError(f"an event id has 1 to {MAX_ID_LENGTH} characters, not {len(event_id)}")
    if not is_attribute(event_id):
        raise ValueError("an event id has no control characters")
    return event_id


def too_large(payload: bytes) -> str:
    """Return why a payload of more than `MAX_ENTRY_BYTES` is refused."""
    return f"too large: {len(payload)} bytes, {MAX_ENTRY_BYTES} are allowed"


def _published(event_id: str, answer: str) -> _Outcome:
    """Return what the publish script said of one event."""
    if answer == LATE:
        return TooLateError(event_id)
    if answer[0] == REFUSED:
        return EventRefused(event_id, answer[1:])
    if answer[0] == DUPLICATE:
        return Publication(event_id, answer[1:], duplicate=True)
    return Publication(event_id, answer, duplicate=False)


def _outcome(event_id: str, state: bytes, value: bytes) -> Publication:
    """Return what the refuse script said of one event, or raise its refusal."""
    if state == b"refused":
        raise EventRefused(event_id, value.decode())
    return Publication(event_id, value.decode(), duplicate=state == b"duplicate")


def _fail(waiting: _Waiting, error: BaseException) -> None:
    """Give a caller an error, unless it has gone away."""
    if not waiting.outcome.done():
        waiting.outcome.set_exception(error)


def _settle(waiting: _Waiting, *outcomes: _Outcome) -> None:
    """Give a caller the outcomes, unless it has gone away; one that is too late ends the call."""
    if waiting.outcome.done():
        return
    late = next((outcome for outcome in outcomes if isinstance(outcome, TooLateError)), None)
    if late is not None:
        waiting.outcome.set_exception(late)
        return
    waiting.outcome.set_result([o for o in outcomes if not isinstance(o, TooLateError)])
