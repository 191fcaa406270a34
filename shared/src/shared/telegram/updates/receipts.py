"""Which updates a webhook was brought, and who waits for the answer to which.

Telegram takes any 2xx for "never again", so an update is answered when it is finished. It brings an
update again where it got no answer: one in hand is known by its id and not handled a second time,
and one that is finished is answered at once, also where its first answer was lost on the way.
"""

import asyncio
from collections.abc import Iterator
from time import monotonic, time
from typing import Any

from shared.telegram.updates.parking import Parked
from shared.telegram.updates.window import InHand

REMEMBERED = 24 * 3600.0
"""Seconds for which a finished update is known; Telegram brings none for longer."""


class Receipts(InHand):
    """The updates that were brought in one term of holding the lease."""

    def __init__(self) -> None:
        super().__init__()
        self._finished: dict[int, float] = {}
        self._waiting: dict[int, asyncio.Future[bool]] = {}

    def take(self, update: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield an update where it is new; it is in hand from now on."""
        self._forget()
        update_id = int(update["update_id"])
        if update_id not in self._unfinished and update_id not in self._finished:
            self._unfinished[update_id] = Parked(update, time())
            yield update

    async def finished(self, update_id: int) -> bool:
        """Return True when an update is finished, False when nobody knows when that will be."""
        if update_id not in self._unfinished:
            return update_id in self._finished
        waiting = self._waiting.get(update_id)
        if waiting is None:
            waiting = self._waiting[update_id] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(waiting)  # others may wait for it as well

    def finish(self, update_id: int) -> bool:
        """Note that an update is to be answered with 200."""
        if not super().finish(update_id):
            return False
        self._finished[update_id] = monotonic()
        if (waiting := self._waiting.pop(update_id, None)) is not None:
            waiting.set_result(True)
        return True

    def note_parked(self, update_id: int) -> None:
        """Note that an update is to be answered with 200 where it is brought again."""
        self._finished[update_id] = monotonic()

    def let_go(self) -> None:
        """Have whoever waits told to come again; what is in hand stays there."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.set_result(False)

    def give_up(self) -> None:
        """Have whoever waits told to come again, for a new term."""
        self.let_go()

    def _forget(self) -> None:
        """Forget the oldest where their time is over."""
        before = monotonic() - REMEMBERED
        while self._finished and self._finished[oldest := next(iter(self._finished))] < before:
            del self._finished[oldest]
