"""The updates that a bot has in hand: from their fetch until what came of them is durable."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from shared.generated.events import TooLateError
from shared.metrics import catalogue
from shared.telegram.context import Bot
from shared.telegram.updates.dispatch import handle, keep
from shared.telegram.updates.parking import Parking
from shared.telegram.updates.senders import sender_of
from shared.telegram.updates.telling import tell
from shared.telegram.updates.window import InHand
from shared.tracing import handling, receiving

if TYPE_CHECKING:
    from shared.tracing.spans import Received

log = structlog.get_logger(__name__)

W = TypeVar("W", bound=InHand)

PARK_AFTER = 1.0
"""Seconds in hand after which an update is parked."""
PARK_AGAIN_AFTER = 2.0
"""Seconds before another try, where Redis did not take them."""
TOO_OLD = "it was parked for a day; whether all that it causes has happened is not known"
LOOK = 0.05
"""Seconds between two looks at what is still in hand when the bot is stopped."""


class Hand(Generic[W]):
    """Puts updates into the lanes of their senders, and knows which of them may be confirmed.

    Args:
        application: whose handlers get them.
        new_window: makes what knows them in one term.

    Attributes:
        window: what Telegram has not confirmed.
        broken: fails where handling an update has raised what is no fault of the update.
    """

    def __init__(self, application: Bot[Any], new_window: Callable[[], W]) -> None:
        self.window = new_window()
        self._new_window = new_window
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._application = application
        self._parking = Parking(application.bot.id)
        self._resumed = False
        self._park_from = 0.0

    def renew(self) -> None:
        """Forget what is in hand: somebody else has polled since, or it is fetched again."""
        self.window.give_up()
        self.window = self._new_window()
        self._resumed = False

    async def resume(self) -> None:
        """Take over what was parked by others; it comes before whatever is fetched."""
        if self._resumed:
            return
        parked = await self._parking.take_over()
        self._resumed = True
        if parked:
            log.info("parked updates taken over", count=len(parked))
        for each in parked:
            self.window.note_parked(int(each.update["update_id"]))
            work = self._handle if each.fresh else self._keep
            update, sender = each.update, sender_of(each.update)
            self._put(update, partial(work, self.window, update), None, sender)

    async def take(self, updates: Iterable[dict[str, Any]]) -> None:
        """Put updates that the window has taken into the lanes of their senders, in their order.

        One that is over its sender's quota takes no place in a lane; this returns without waiting.
        """
        new = list(updates)
        self._application.moments.fetched(new)
        with receiving(len(new)) as received:
            for update in new:
                catalogue.UPDATES.add("fetched")
                sender = sender_of(update)
                in_hand = self._application.lanes.length(sender)
                admitted = await self._application.flood.admits(update, in_hand)
                work, lane = (self._handle, sender) if admitted else (self._turn_away, None)
                self._put(update, partial(work, self.window, update), received, lane)

    async def park(self) -> None:
        """Have what takes long confirmed before it is finished."""
        window = self.window
        slow = window.in_hand_for(PARK_AFTER, self._parking.room)
        if not slow or monotonic() < self._park_from:
            return
        if not await self._parking.park(slow):
            self._park_from = monotonic() + PARK_AGAIN_AFTER
            return
        for update_id in slow:
            window.finish(update_id)

    async def drain(self, grace: float) -> bool:
        """Whether all that is in hand was finished within its grace; the rest is given up."""
        deadline = monotonic() + grace
        while self.window.busy or self._parking.here:
            if monotonic() > deadline or self.broken.done():
                await self._application.lanes.close()
                break
            await asyncio.wait({self.broken}, timeout=LOOK)
        self.raise_if_broken()
        return not self.window.busy

    def raise_if_broken(self) -> None:
        """Raise what handling an update has raised that is no fault of the update."""
        if self.broken.done():
            self.broken.result()

    def event_id(self, update_id: int | str) -> str:
        """Return what identifies an update among those of all bots."""
        return f"{self._application.bot.id}:{update_id}"

    def _put(
        self,
        update: dict[str, Any],
        work: partial[Any],
        received: "Received | None",
        lane: int | None,
    ) -> None:
        traced = handling(received, self.event_id(update["update_id"]), work)
        self._application.lanes.put(lane, traced)

    async def _handle(self, window: W, raw: dict[str, Any]) -> None:
        """Let the handlers have one update; it is finished when what came of it is durable."""
        event_id = self.event_id(raw["update_id"])
        try:
            await handle(self._application, raw, event_id)
            await self._finish(window, raw["update_id"])
        except TooLateError as error:
            if raw["update_id"] in self._parking.here:
                await self._keep(window, raw)
                return
            # Telegram knows what somebody has confirmed meanwhile, and repeats the rest.
            log.warning("update is too old to be published; fetching again", reason=str(error))
            if self.window is window:
                self.renew()
        except Exception as error:  # noqa: BLE001 — it ends the loop, and there it is raised
            self._break(error)

    async def _turn_away(self, window: W, raw: dict[str, Any]) -> None:
        """Let an update go that is over its sender's quota, which they are told."""
        try:
            await self._application.flood.turn_away(raw)
            await self._finish(window, raw["update_id"])
        except Exception as error:  # noqa: BLE001 — as above
            self._break(error)

    async def _keep(self, window: W, raw: dict[str, Any]) -> None:
        """Bury what was parked a day ago, and tell its sender: Telegram repeats none for longer."""
        event_id = self.event_id(raw["update_id"])
        try:
            await keep(raw, event_id, TOO_OLD)
            log.warning("parked update kept in the dead letters", event_id=event_id)
            await tell(self._application, raw, self._application.notices_for(raw).kept)
            await self._finish(window, raw["update_id"])
        except Exception as error:  # noqa: BLE001 — as above
            self._break(error)

    async def _finish(self, window: W, update_id: int) -> None:
        """Note that what came of an update is durable."""
        window.finish(update_id)
        self._application.moments.handled(update_id)
        if update_id in self._parking.here:
            await self._parking.finish(update_id)

    def _break(self, error: Exception) -> None:
        if not self.broken.done():
            self.broken.set_exception(error)
