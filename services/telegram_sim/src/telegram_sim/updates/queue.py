"""The queue of updates that Telegram keeps for one bot until the bot has confirmed them.

The rules are those of TQueue in tdlib/td and of the Bot API's page on updates: an update lives
until it is confirmed or its time is over, numbers follow one another, and after a week without
any update the next number is a random one.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from telegram_sim.clock import Clock
from telegram_sim.state import State

LIFETIME = 24 * 3600
"""Seconds that most updates live after their date."""
LARGEST_QUEUE = 100_000
QUIET_WEEK = 7 * 24 * 3600
LOWEST_FIRST_ID = 2_000_001
HIGHEST_FIRST_ID = 1_000_000_000


@dataclass(slots=True)
class Update:
    """One update that waits to be confirmed.

    Attributes:
        id: The update's number.
        kind: The name of its only other field, `message` for example.
        body: That field's value as JSON.
        expires: Unix second after which it is dropped.
        queue: Updates of one queue reach a webhook one after the other.
    """

    id: int
    kind: str
    body: bytes
    expires: int
    queue: str

    def serialized(self) -> bytes:
        """Return the Update object as JSON."""
        return b'{"update_id":%d,"%s":%s}' % (self.id, self.kind.encode(), self.body)


class UpdateQueue:
    """The updates that wait for one bot, oldest first.

    Attributes:
        next_id: The number of the next update; 0 before the first one.
        last_arrival: Unix second at which the last update arrived; 0 before the first one.
        confirmed_up_to: The highest number that the bot has confirmed; 0 before it did.
        expired: How many updates were dropped because their time was over.
        refused: How many did not get in because the queue was full.
    """

    def __init__(self, bot: int, clock: Clock, state: State) -> None:
        self._bot = bot
        self._clock = clock
        self._state = state
        self._updates: OrderedDict[int, Update] = OrderedDict()
        self.next_id = 0
        self.last_arrival = 0
        self.confirmed_up_to = 0
        self.expired = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._updates)

    @property
    def head(self) -> int:
        """The oldest waiting update's number, or the next number where nothing waits."""
        return next(iter(self._updates), self.next_id)

    def push(self, kind: str, body: bytes, expires: int, queue: str) -> int | None:
        """Add an update.

        Returns:
            Its number, or None where it has expired already or the queue is full.
        """
        now = self._clock.date()
        if expires <= now:
            self.expired += 1
            return None
        self._restart_after_a_quiet_week(now)
        if len(self._updates) >= LARGEST_QUEUE:
            self.refused += 1
            return None
        update = Update(self.next_id, kind, body, expires, queue)
        self.next_id += 1
        self.last_arrival = now
        self._updates[update.id] = update
        self._state.put_update(self._bot, update)
        return update.id

    def restore(self, update: Update) -> None:
        """Put back an update that the state file held."""
        self._updates[update.id] = update

    def confirm(self, offset: int) -> None:
        """Forget every update whose number is below the offset."""
        forgotten = False
        while self._updates and next(iter(self._updates)) < offset:
            self._updates.popitem(last=False)
            forgotten = True
        if forgotten:
            self.confirmed_up_to = min(offset, self.next_id) - 1
            self._state.drop_updates_below(self._bot, offset)

    def keep_last(self, count: int) -> None:
        """Forget everything but the newest updates."""
        if len(self._updates) <= count:
            return
        if count == 0:
            self.confirm(self.next_id)
            return
        oldest_kept = next(
            id_ for kept, id_ in enumerate(reversed(self._updates), start=1) if kept == count
        )
        self.confirm(oldest_kept)

    def forget(self, update_id: int) -> None:
        """Forget one update, wherever it stands."""
        if self._updates.pop(update_id, None) is not None:
            self.confirmed_up_to = max(self.confirmed_up_to, update_id)
            self._state.drop_update(self._bot, update_id)

    def read(self, limit: int, offset: int = 0) -> list[Update]:
        """Return the oldest updates from an offset on; those whose time is over are dropped."""
        now = self._clock.date()
        waiting: list[Update] = []
        expired: list[int] = []
        for update in self._updates.values():
            if len(waiting) == limit:
                break
            if update.expires < now:
                expired.append(update.id)
            elif update.id >= offset:
                waiting.append(update)
        self._expire(expired)
        return waiting

    def drop_expired(self) -> None:
        """Drop every update whose time is over."""
        now = self._clock.date()
        self._expire([update.id for update in self._updates.values() if update.expires < now])

    def __iter__(self) -> Iterator[Update]:
        return iter(self._updates.values())

    def _expire(self, update_ids: list[int]) -> None:
        for update_id in update_ids:
            del self._updates[update_id]
            self._state.drop_update(self._bot, update_id)
        self.expired += len(update_ids)

    def _restart_after_a_quiet_week(self, now: int) -> None:
        if self.next_id and now - self.last_arrival < QUIET_WEEK:
            return
        self.drop_expired()
        if not self._updates:
            self.next_id = LOWEST_FIRST_ID + secrets.randbelow(HIGHEST_FIRST_ID - LOWEST_FIRST_ID)
