"""Which updates are in hand, and up to which one they may be confirmed.

An offset confirms every update below it, so it stands at the oldest one that is not finished. While
that one takes its time Telegram repeats it and all that came after it, new ones last: what was
taken already is known by its id and ignored. A getUpdates gives a hundred at most, counted from the
offset, so no more than that can be in hand and unconfirmed; what takes long is parked (`Parking`).

Ids are told apart, not compared with the highest one: after a quiet week they restart anywhere.
Source: core.telegram.org/bots/api#getupdates.
"""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from time import time
from typing import Any

from shared.telegram.updates.parking import Parked

CAPACITY = 100
"""Updates from the oldest unfinished one on that Telegram shows."""


class InHand:
    """The updates in hand, of one term of holding the lease."""

    def __init__(self) -> None:
        self._unfinished: dict[int, Parked] = {}

    @property
    def busy(self) -> bool:
        """Whether an update is not finished."""
        return bool(self._unfinished)

    def in_hand_for(self, seconds: float, most: int) -> dict[int, Parked]:
        """Return the oldest unfinished updates that are in hand for so long, by their ids."""
        now = time()  # which may have been put back since
        slow = (item for item in self._unfinished.items() if abs(now - item[1].since) >= seconds)
        return dict(islice(slow, most))

    def finish(self, update_id: int) -> bool:
        """Note that an update may be confirmed; False where it was parked, or is of another term.

        It may when what it caused is durable, or it is itself.
        """
        return self._unfinished.pop(update_id, None) is not None

    def note_parked(self, update_id: int) -> None:
        """Note that an update of an earlier term is durable where it was parked."""

    def give_up(self) -> None:
        """Note that nothing of it will be confirmed from here."""


class Window(InHand):
    """The updates in hand, of one term of polling."""

    def __init__(self) -> None:
        super().__init__()
        self._finished: set[int] = set()
        self._next = 0
        self._drained: asyncio.Future[None] | None = None

    @property
    def offset(self) -> int:
        """Return what confirms all that is finished and nothing else; 0 confirms nothing."""
        return next(iter(self._unfinished), self._next)

    @property
    def full(self) -> bool:
        """Whether Telegram has nothing new to show before the oldest update is finished."""
        return self._shown() >= CAPACITY

    @property
    def roomy(self) -> bool:
        """Whether Telegram can show at least half as many new ones as it shows at once."""
        return self._shown() <= CAPACITY // 2

    def _shown(self) -> int:
        """Return how many known updates Telegram would show."""
        offset = self.offset
        return len(self._unfinished) + sum(i >= offset for i in self._finished)

    def take(self, updates: Iterable[dict[str, Any]], offset: int) -> Iterator[dict[str, Any]]:
        """Yield the updates that are new, in the order of their ids; they are in hand from now on.

        Args:
            updates: what a getUpdates gave.
            offset: the one that it was asked with; what lies below it is not shown any more.
        """
        self._finished = {i for i in self._finished if i >= offset}
        now = time()
        for update in sorted(updates, key=itemgetter("update_id")):
            update_id = int(update["update_id"])
            if update_id in self._unfinished or update_id in self._finished:
                continue
            self._unfinished[update_id] = Parked(update, now)
            self._next = max(self._next, update_id + 1)
            yield update

    def finish(self, update_id: int) -> bool:
        """Note that an update may be confirmed."""
        if not super().finish(update_id):
            return False
        self._finished.add(update_id)
        if not self._unfinished and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        return True

    def drained(self) -> asyncio.Future[None]:
        """Return a future that is done when nothing is unfinished."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        if not self._unfinished:
            self._drained.set_result(None)
            drained, self._drained = self._drained, None
            return drained
        return self._drained

    def restart(self) -> None:
        """Note that Telegram has confirmed all of it, and may number what comes next anew."""
        if not self._unfinished:
            self._next = 0
            self._finished.clear()
