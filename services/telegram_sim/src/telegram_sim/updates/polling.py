"""getUpdates: the rules of Client::process_get_updates_query in tdlib/telegram-bot-api.

An offset confirms everything below it. One request waits at most; a newcomer that has to wait
takes the older one's place, which gets a 409. The same offset again within half a second is given
one update only, and within three seconds it waits for three.
"""

import asyncio
from dataclasses import dataclass

from telegram_sim.api.errors import ConflictError
from telegram_sim.clock import Clock, Timer
from telegram_sim.updates.overlaps import Overlaps, Peer
from telegram_sim.updates.queue import UpdateQueue

LONGEST_POLL = 50
MOST_UPDATES = 100
LARGEST_ANSWER = 1 << 22
BYTES_AROUND_AN_UPDATE = 50
HURRIED_WITHIN, HURRIED_LIMIT = 0.5, 1
REPEATED_WITHIN, REPEATED_WAIT = 3.0, 3
CONFLICT_PAUSE = 3.0
GATHER_FOR = 0.001
FURTHEST_AHEAD = 10
FURTHEST_BEHIND = 100_000

OTHER_POLL = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)
WEBHOOK_SET = "terminated by setWebhook request"
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the "
    "webhook first"
)


@dataclass(slots=True)
class _Waiting:
    """The one request that waits for an update."""

    outcome: asyncio.Future[str | None]
    deadline: Timer
    gathering: asyncio.TimerHandle | None = None

    def wake(self, conflict: str | None = None) -> None:
        """End the waiting: with what there is, or with a conflict."""
        _end(self.outcome, conflict)

    def stop_timers(self) -> None:
        """Let go of what would still wake it."""
        self.deadline.cancel()
        if self.gathering is not None:
            self.gathering.cancel()


def _end(outcome: asyncio.Future[str | None], conflict: str | None) -> None:
    if not outcome.done():
        outcome.set_result(conflict)


class Polling:
    """Answers the getUpdates requests of one bot.

    Attributes:
        overlaps: Programs that polled at once.
        polls: How many requests there were.
        last_poll: Moment of the last one, in Unix seconds; 0 before the first.
        delivered: How many updates were handed out, counting repetitions.
        conflicts: How many 409 were given.
    """

    def __init__(self, bot: int, queue: UpdateQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._waiting: _Waiting | None = None
        self._previous_offset = -1
        self._previous_start = clock.monotonic() - 100
        self._next_conflict = clock.monotonic() - 100
        self.overlaps = Overlaps(bot, clock)
        self.polls = 0
        self.last_poll = 0.0
        self.delivered = 0
        self.conflicts = 0

    async def get_updates(self, offset: int, limit: int, wait: float, peer: Peer) -> list[bytes]:
        """Return serialized updates, waiting for the first one if there is none.

        Args:
            offset: Number of the first update wanted; negative counts from the newest.
            limit: How many updates are wanted.
            wait: Seconds to wait for one.
            peer: The caller's connection, to tell pollers apart.

        Raises:
            ConflictError: A newer request took this one's place.
        """
        self.polls += 1
        self.last_poll = self._clock.now()
        poller = self.overlaps.begin(peer, offset)
        try:
            limit, wait = self._restrain(offset, limit, wait)
            if offset < 0:
                self._queue.keep_last(-offset)
                offset = 0
            updates = self._read(offset, limit)
            if not updates and wait:
                await self._wait(wait)
                updates = self._read(offset, limit)
            self.delivered += len(updates)
            return updates
        finally:
            self.overlaps.end(poller)

    async def refuse(self) -> None:
        """Refuse a getUpdates because the bot has a webhook.

        Raises:
            ConflictError: Always.
        """
        await self._conflict(WEBHOOK_ACTIVE)

    def arrived(self) -> None:
        """Tell the waiting request that there is an update.

        It is answered a moment later, so that updates that come together go out together.
        """
        waiting = self._waiting
        if waiting is not None and waiting.gathering is None:
            waiting.gathering = asyncio.get_running_loop().call_later(GATHER_FOR, waiting.wake)

    def stop_waiting(self, conflict: str | None = WEBHOOK_SET) -> None:
        """End the waiting request with a conflict, or with what there is where it is None."""
        if self._waiting is not None:
            self._waiting.wake(conflict)

    def _restrain(self, offset: int, limit: int, wait: float) -> tuple[int, float]:
        now = self._clock.monotonic()
        if offset == self._previous_offset:
            if wait < REPEATED_WAIT and now < self._previous_start + REPEATED_WITHIN:
                wait = REPEATED_WAIT
            if now < self._previous_start + HURRIED_WITHIN:
                limit = HURRIED_LIMIT
        self._previous_offset = offset
        self._previous_start = now
        return limit, wait

    def _read(self, offset: int, limit: int) -> list[bytes]:
        queue = self._queue
        # An offset far outside what was ever given out is taken for none at all.
        if queue.head - FURTHEST_BEHIND <= offset <= queue.next_id + FURTHEST_AHEAD:
            queue.confirm(offset)
        updates: list[bytes] = []
        left = LARGEST_ANSWER
        for update in queue.read(limit):
            left -= BYTES_AROUND_AN_UPDATE + len(update.body)
            if left <= 0:
                break
            updates.append(update.serialized())
        return updates

    async def _wait(self, seconds: float) -> None:
        self.stop_waiting(OTHER_POLL)
        outcome: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        deadline = self._clock.monotonic() + seconds
        waiting = _Waiting(outcome, self._clock.at(deadline, lambda: _end(outcome, None)))
        self._waiting = waiting
        try:
            conflict = await outcome
        finally:
            waiting.stop_timers()
            if self._waiting is waiting:
                self._waiting = None
        if conflict is not None:
            await self._conflict(conflict)

    async def _conflict(self, reason: str) -> None:
        self.conflicts += 1
        now = self._clock.monotonic()
        if now < self._next_conflict:
            await self._clock.sleep(CONFLICT_PAUSE)
        else:
            self._next_conflict = now + CONFLICT_PAUSE
        raise ConflictError(reason)
