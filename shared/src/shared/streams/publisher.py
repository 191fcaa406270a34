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
from typing import TYPE_CHECKING, Any

from shared.streams.envelope import FIELD, MAX_ENTRY_BYTES
from shared.streams.errors import EventRefused, NotConnected
from shared.streams.letters import DeadLetter
from shared.streams.retry import Outage, check_cancelled, until_answered
from shared.streams.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis

MARKER_LIFETIME = 72 * 3600
"""Seconds for which an event id is remembered; Telegram repeats an update for 24 hours."""
MAX_BATCH = 200
"""Events in one script call; the server answers nobody else while a script runs."""
MAX_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Publication:
    """Where an event stands: the stream entry's id, and whether an earlier call put it there."""

    event_id: str
    entry_id: str
    duplicate: bool


@dataclass(slots=True)
class _Waiting:
    """One event on its way to Redis and the caller who waits for its outcome."""

    stream: str
    event_id: str
    payload: bytes
    outcome: asyncio.Future[Publication] = field(default_factory=asyncio.Future)


def marker(stream: str, event_id: str) -> str:
    """Return the key that remembers an event id; it shares the stream's hash slot."""
    return f"{{{stream}}}:id:{event_id}"


class Publisher:
    """Publishes and refuses events through one Redis client, each event id once."""

    def __init__(self, client: "Redis[bytes]") -> None:  # type: ignore[type-arg, unused-ignore]
        self._publish = client.register_script(load_script("publish"))
        self._refuse = client.register_script(load_script("refuse"))
        self._client = client
        self._queue: deque[_Waiting] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False
        self._outage = Outage("publish")

    async def publish(self, stream: str, event_id: str, payload: bytes) -> Publication:
        """Append one event to a stream, once, and return where it stands.

        Waits for as long as Redis is away. A caller who is cancelled meanwhile learns nothing of
        the outcome and may publish the same id again.

        Raises:
            EventRefused: too large, or refused by an earlier call; it is in the dead letters.
            NotConnected: the publisher was closed before there was an answer.
        """
        if len(payload) > MAX_ENTRY_BYTES:
            reason = f"too large: {len(payload)} bytes, {MAX_ENTRY_BYTES} are allowed"
            return await self.refuse(stream, event_id, payload, reason)
        waiting = _Waiting(stream, check_id(event_id), payload)
        return await self._enqueue(waiting)

    async def refuse(self, stream: str, event_id: str, payload: bytes, reason: str) -> Publication:
        """Put an event that cannot be published into the dead letters and mark its id.

        Returns:
            The publication, where an earlier call had already published the event.

        Raises:
            EventRefused: otherwise, once the refusal is durable.
        """
        letter = DeadLetter(event_id=check_id(event_id), payload=payload, reason=reason)
        keys = [f"{stream}.dlq", marker(stream, event_id)]
        args = [MARKER_LIFETIME * 1000, reason, *letter.fields()]
        state, value = await until_answered(lambda: self._refuse(keys, args), self._outage)
        return _outcome(event_id, state, value)

    async def close(self) -> None:
        """Stop trying; callers who still wait get `NotConnected`."""
        self._closed = True
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        while self._queue:
            _settle(self._queue.popleft(), NotConnected("the broker was closed"))

    async def _enqueue(self, waiting: _Waiting) -> Publication:
        if self._closed:
            raise NotConnected("the broker is closed")
        self._queue.append(waiting)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="publish")
        return await waiting.outcome

    async def _flush(self) -> None:
        """Send what waits, a batch a call, until nothing waits."""
        while True:
            check_cancelled()
            await asyncio.sleep(0)  # lets everybody who publishes in this turn join the batch
            if not self._queue:
                return
            batch = self._next_batch()
            keys = [batch[0].stream, *(marker(w.stream, w.event_id) for w in batch)]
            args: list[Any] = [MARKER_LIFETIME * 1000, FIELD, *(w.payload for w in batch)]
            try:
                answers = await until_answered(partial(self._publish, keys, args), self._outage)
            except BaseException as error:
                stopped = NotConnected("the broker was closed")
                cause = stopped if isinstance(error, asyncio.CancelledError) else error
                for waiting in batch:
                    _settle(waiting, cause)
                raise
            for waiting, (state, value) in zip(batch, answers, strict=True):
                try:
                    _settle(waiting, _outcome(waiting.event_id, state, value))
                except EventRefused as refusal:
                    _settle(waiting, refusal)

    def _next_batch(self) -> list[_Waiting]:
        """Take the longest run of waiting events for one stream, in their order."""
        batch = [self._queue.popleft()]
        while self._queue and len(batch) < MAX_BATCH and self._queue[0].stream == batch[0].stream:
            batch.append(self._queue.popleft())
        return batch


def check_id(event_id: str) -> str:
    """Return the event id, or raise ValueError where it could not be one."""
    if not 0 < len(event_id) <= MAX_ID_LENGTH:
        raise ValueError(f"an event id has 1 to {MAX_ID_LENGTH} characters, not {len(event_id)}")
    return event_id


def _outcome(event_id: str, state: bytes, value: bytes) -> Publication:
    """Return what a script said of one event, or raise its refusal."""
    if state == b"refused":
        raise EventRefused(event_id, value.decode())
    return Publication(event_id, value.decode(), duplicate=state == b"duplicate")


def _settle(waiting: _Waiting, outcome: Publication | BaseException) -> None:
    """Give a caller the outcome, unless it has gone away."""
    if waiting.outcome.done():
        return
    if isinstance(outcome, BaseException):
        waiting.outcome.set_exception(outcome)
    else:
        waiting.outcome.set_result(outcome)
