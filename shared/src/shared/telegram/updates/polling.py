"""Getting updates so that none is lost: confirmed only when what they caused is durable.

Telegram keeps an update until a getUpdates with a higher offset confirms it, for 24 hours. So the
offset stands at the oldest update that is not finished (`Window`), and handlers return only when
their events are in the stream. A process that dies is given the same updates again, and event ids
made of update ids keep the stream free of doubles.

While one is unfinished Telegram answers at once, with what is in hand and with what is new. The
same offset again within half a second would be given one update only, so it is not asked sooner.

python-telegram-bot's own `run_polling` confirms what was fetched, not what was handled.
Source: core.telegram.org/bots/api#getupdates, Client.cpp of github.com/tdlib/telegram-bot-api.
"""

import asyncio
import json
from collections.abc import Coroutine
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import structlog
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest

from shared.generated.events import Lease
from shared.process import Backoff
from shared.telegram.api.answers import id_by_content, split_updates
from shared.telegram.api.request import seconds_asked
from shared.telegram.context import Bot
from shared.telegram.updates.dispatch import keep
from shared.telegram.updates.hand import Hand
from shared.telegram.updates.kinds import kinds_asked
from shared.telegram.updates.standby import Standby
from shared.telegram.updates.state import ANSWER_GRACE, LONG_POLL, PollState
from shared.telegram.updates.webhook import delete_webhook, is_of_webhook
from shared.telegram.updates.window import CAPACITY, Window

log = structlog.get_logger(__name__)

REPEAT_AFTER = 0.6
"""Seconds after which the same offset is asked with again; Telegram wants half a second."""
GLANCE = 0.1
"""Seconds between two looks at whether the oldest update in hand is finished."""
STOP_GRACE = 8.0
"""Seconds that what is in hand gets to become durable when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 5.0


class Poller:
    """Fetches, has handled, and only then confirms; one request in flight, ever.

    It fetches only while it holds the lease, so of several bots with one token one polls.
    """

    def __init__(
        self,
        application: Bot[Any],
        request: BaseRequest,
        state: PollState,
        lease: Lease,
    ) -> None:
        self.state = state
        self._lease = lease
        self._application = application
        self._request = request
        self._hand = Hand(application, Window)
        self._standby = Standby(lease, state, self._hand)
        self._asked_with = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set, finish what is in hand, confirm it, give the lease back.

        Raises:
            InvalidToken: Telegram does not know the token; trying again cannot help.
        """
        stopping = asyncio.create_task(stop.wait(), name="wait for stop")
        try:
            while not stop.is_set():
                await self._standby.until_held(stopping)
                if await self._until_worth_asking(stopping):
                    updates = await self._unless(stopping, self._fetch())
                    self._application.moments.answered(self._asked_with)
                    await self._hand.take(self._hand.window.take(updates, self._asked_with))
            if not await self._hand.drain(STOP_GRACE):
                log.warning("stopped with updates unhandled; Telegram will repeat them")
            if self._hand.window.offset and self._lease.held:
                await self._confirm()
        finally:
            stopping.cancel()
            await self._lease.release()
            self.state.active = False

    async def _until_worth_asking(self, stopping: asyncio.Task[Any]) -> bool:
        """Return when another getUpdates can show or confirm something.

        That is when nothing is in hand; or the oldest in hand is finished; or there may be new
        ones behind it. False where the stop or the end of the lease came first.
        """
        while self._lease.held and not stopping.done():
            window = self._hand.window
            if not window.busy:
                return True
            ends = {window.drained(), stopping, self._hand.broken}
            await asyncio.wait(ends, timeout=GLANCE, return_when=asyncio.FIRST_COMPLETED)
            self._hand.raise_if_broken()
            await self._hand.park()
            since_asked = monotonic() - (self.state.asked or 0.0)
            moved = window.offset != self._asked_with and window.roomy
            if moved or (not window.full and since_asked >= REPEAT_AFTER):
                return True
        return False

    async def _fetch(self) -> list[dict[str, Any]]:
        """Return the next updates as Telegram wrote them; what came before them is confirmed.

        Nothing where the lease ends first: a process that has stood still may not know it yet.
        """
        await self._hand.resume()
        backoff = Backoff(FIRST_BACKOFF, LAST_BACKOFF)
        while self._lease.held:
            try:
                updates = await self._get_updates(CAPACITY, LONG_POLL)
            except InvalidToken:
                raise
            except TelegramError as error:
                if is_of_webhook(error) and await self._unhook():
                    continue
                self.state.failed(error)
                asked = seconds_asked(error) if isinstance(error, RetryAfter) else 0.0
                await asyncio.sleep(asked or backoff.next())
            else:
                self.state.worked()
                return updates
        return []

    async def _unhook(self) -> bool:
        """Whether the webhook is gone that somebody has set; what pends stays for getUpdates."""
        try:
            await self._request.post(delete_webhook(self._application.bot.base_url))
        except TelegramError as error:
            log.warning("webhook not removed", reason=error.message)
            return False
        log.info("webhook removed; this bot polls")
        return True

    async def _get_updates(self, limit: int, wait: int) -> list[dict[str, Any]]:
        """Make one getUpdates; updates come back raw, so that a strange one spoils no batch."""
        offset = self._asked_with = self._hand.window.offset
        self.state.asked = monotonic()
        self._application.moments.asked(offset)
        query = urlencode(
            {
                "offset": offset,
                "limit": limit,
                "timeout": wait,
                "allowed_updates": json.dumps(kinds_asked(self._application)),
            }
        )
        result = await self._request.post(
            f"{self._application.bot.base_url}/getUpdates?{query}",
            read_timeout=wait + ANSWER_GRACE,
        )
        updates, odd = split_updates(result)
        if not result:
            self._hand.window.restart()
        for update in odd[:CAPACITY]:
            await keep(update, self._hand.event_id(id_by_content(update)), "it has no update_id")
        if odd and not updates:
            raise TelegramError("getUpdates answered with updates that have no id")
        return updates

    async def _confirm(self) -> None:
        """Confirm what is finished without waiting for more."""
        try:
            await self._get_updates(1, 0)
        except TelegramError as error:
            log.warning("last batch not confirmed; Telegram will repeat it", reason=error.message)

    async def _unless(
        self, stopping: asyncio.Task[Any], fetching: Coroutine[Any, Any, list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return what was fetched; nothing where the stop or the end of the lease came first."""
        fetch = asyncio.create_task(fetching, name="getUpdates")
        losing = asyncio.create_task(self._lease.lost(), name="lose lease")
        ends = {fetch, stopping, losing, self._hand.broken}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        losing.cancel()
        if not fetch.done():
            fetch.cancel()
        await asyncio.gather(fetch, losing, return_exceptions=True)
        self._hand.raise_if_broken()
        return [] if fetch.cancelled() else fetch.result()
