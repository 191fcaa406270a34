"""Getting updates so that none is lost: confirmed only when what they caused is durable.

Telegram keeps an update until a getUpdates with a higher offset confirms it, for 24 hours. So the
offset moves only when every update of a batch has been handled, and handlers return only when
their events are in the stream. A process that dies is given the same updates again, and event ids
made of update ids keep the stream free of doubles.

python-telegram-bot's own `run_polling` confirms what was fetched, not what was handled.
Source: core.telegram.org/bots/api#getupdates.
"""

import asyncio
import json
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import structlog
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest

from shared.generated.events import Lease, TooLateError
from shared.telegram.api.answers import id_by_content, split_updates
from shared.telegram.api.request import seconds_asked
from shared.telegram.context import Bot
from shared.telegram.updates.dispatch import handle, keep

log = structlog.get_logger(__name__)

BATCH = 100
LONG_POLL = 30
"""Seconds that one getUpdates waits for an update; Telegram allows 50."""
ANSWER_GRACE = 10.0
"""Seconds that the answer of a long poll may come late."""
ASIDE_NOTICE_AFTER = 1.0
"""Seconds without the lease after which the log says that this bot stands by."""
STALE_AFTER = LONG_POLL + ANSWER_GRACE + 5.0
"""Seconds after the last getUpdates was sent from which the loop counts as standing still."""
FAILING_AFTER = 5.0
"""Seconds of failing getUpdates, without a good one, after which the loop counts as failing."""
STOP_GRACE = 8.0
"""Seconds that the batch in hand gets to become durable when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 5.0
ALLOWED_UPDATES = ("message", "edited_message")
"""What the handlers handle; Telegram drops the rest on arrival and remembers this choice."""


@dataclass(slots=True)
class PollState:
    """What health wants to know of the loop; times are `monotonic` seconds.

    `ready` means logged in; `active` is false while another bot holds the lease, or nobody can,
    and this one stands by.
    """

    ready: bool = False
    active: bool = False
    asked: float | None = None
    last_success: float | None = None
    failing: str | None = None
    failing_since: float | None = None
    failures: int = 0
    conflicts: int = 0

    @property
    def moves(self) -> bool:
        """Whether the loop does its part: it fetches with good answers, or stands by."""
        if not self.active:
            return self.ready
        now = monotonic()
        asks = self.asked is not None and now - self.asked < STALE_AFTER
        return asks and (self.failing_since is None or now - self.failing_since < FAILING_AFTER)

    @property
    def details(self) -> dict[str, Any]:
        """Return what the bot's health says of the loop."""
        age = None if self.last_success is None else round(monotonic() - self.last_success, 1)
        return {
            "role": "active" if self.active else "standby",
            "polling": self.moves,
            "seconds_since_get_updates": age,
            "failures": self.failures,
            "conflicts": self.conflicts,
            "reason": self.failing,
        }


class Poller:
    """Fetches, handles, and only then confirms; one request in flight, ever.

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
        self._term = 0
        self._application = application
        self._request = request
        self._offset = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set, then finish the batch, confirm it and give the lease back.

        Raises:
            InvalidToken: Telegram does not know the token; trying again cannot help.
        """
        stopping = asyncio.create_task(stop.wait(), name="wait for stop")
        try:
            while not stop.is_set():
                await self._stand_by(stopping)
                updates = await self._unless(stopping, self._fetch())
                if updates and not await self._handle(updates, stopping):
                    log.warning("stopped with updates unhandled; Telegram will repeat them")
                    return
            if self._offset and self._lease.held:
                await self._confirm()
        finally:
            stopping.cancel()
            await self._lease.release()
            self.state.active = False

    async def _stand_by(self, stopping: asyncio.Task[Any]) -> None:
        """Return when this bot holds the lease, or when it is to stop."""
        if self._lease.held:
            return
        self.state.active = False
        acquiring = asyncio.create_task(self._lease.acquire(), name="acquire lease")
        first = partial(asyncio.wait, {acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not (await first(timeout=ASIDE_NOTICE_AFTER))[0]:
            log.info("standing by: another bot with this token polls, or Redis is away")
            await first()
        acquiring.cancel()
        await asyncio.gather(acquiring, return_exceptions=True)
        if not self._lease.held:
            return
        if self._lease.term != self._term + 1:
            self._offset = 0  # somebody else has polled since; Telegram knows what is confirmed
        self._term = self._lease.term
        self.state.active, self.state.asked = True, monotonic()
        log.info("polling", term=self._term)

    async def _fetch(self) -> list[dict[str, Any]]:
        """Return the next updates as Telegram wrote them; what came before them is confirmed."""
        failures = 0
        while True:
            try:
                updates = await self._get_updates(BATCH, LONG_POLL)
            except InvalidToken:
                raise
            except TelegramError as error:
                failures += 1
                self._failed(error)
                await asyncio.sleep(_pause(error, failures))
            else:
                self._worked()
                return updates

    async def _get_updates(self, limit: int, wait: int) -> list[dict[str, Any]]:
        """Make one getUpdates; updates come back raw, so that a strange one spoils no batch."""
        offset = self._offset
        self.state.asked = monotonic()
        query = urlencode(
            {
                "offset": offset,
                "limit": limit,
                "timeout": wait,
                "allowed_updates": json.dumps(ALLOWED_UPDATES),
            }
        )
        result = await self._request.post(
            f"{self._application.bot.base_url}/getUpdates?{query}",
            read_timeout=wait + ANSWER_GRACE,
        )
        updates, odd = split_updates(result)
        if not result and offset == self._offset:
            self._offset = 0  # confirmed; ids may restart anywhere after a quiet week
        for update in odd[:BATCH]:
            await keep(update, self._event_id(id_by_content(update)), "it has no update_id")
        if odd and not updates:
            raise TelegramError("getUpdates answered with updates that have no id")
        return updates

    async def _handle(self, updates: Sequence[dict[str, Any]], stopping: asyncio.Task[Any]) -> bool:
        """Handle a batch, all of it at once; False where it was not durable before the stop.

        Tasks start in the order of the updates, and a handler that publishes before it waits for
        anything else keeps that order in the stream.
        """
        tasks = [
            asyncio.create_task(self._handle_one(update), name=f"update {update['update_id']}")
            for update in updates
        ]
        handled = asyncio.gather(*tasks)
        await asyncio.wait({handled, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not handled.done():
            await asyncio.wait({handled}, timeout=STOP_GRACE)
        if not handled.done():
            handled.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return False
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            handled.result()
        except TooLateError as error:
            # Telegram knows which of them somebody has confirmed meanwhile, and repeats the rest.
            log.warning("batch is too old to be published; fetching it again", reason=str(error))
            return True
        self._offset = max(int(update["update_id"]) for update in updates) + 1
        return True

    async def _handle_one(self, raw: dict[str, Any]) -> None:
        """Let the handlers have one update; it returns when what came of it is durable."""
        if not await self._application.flood.admits(raw):
            return
        await handle(self._application, raw, self._event_id(raw["update_id"]))

    def _event_id(self, update_id: int | str) -> str:
        """Return what identifies an update among those of all bots."""
        return f"{self._application.bot.id}:{update_id}"

    async def _confirm(self) -> None:
        """Confirm the last batch without waiting for another."""
        try:
            await self._get_updates(1, 0)
        except TelegramError as error:
            log.warning("last batch not confirmed; Telegram will repeat it", reason=error.message)

    async def _unless(
        self, stopping: asyncio.Task[Any], fetching: Coroutine[Any, Any, list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return what was fetched; nothing where the stop or the end of the lease came first."""
        if not self._lease.held:
            fetching.close()
            return []
        fetch = asyncio.create_task(fetching, name="getUpdates")
        losing = asyncio.create_task(self._lease.lost(), name="lose lease")
        await asyncio.wait({fetch, stopping, losing}, return_when=asyncio.FIRST_COMPLETED)
        losing.cancel()
        if not fetch.done():
            fetch.cancel()
        await asyncio.gather(fetch, losing, return_exceptions=True)
        return [] if fetch.cancelled() else fetch.result()

    def _failed(self, error: TelegramError) -> None:
        """Count a failed poll and log it where the reason is a new one."""
        self.state.failures += 1
        self.state.failing_since = self.state.failing_since or monotonic()
        if isinstance(error, Conflict):
            self.state.conflicts += 1
        reason = f"{type(error).__name__}: {error.message}"
        if reason != self.state.failing:
            self.state.failing = reason
            log.warning("getUpdates fails", reason=reason)

    def _worked(self) -> None:
        """Note a good poll, and log it after bad ones."""
        if self.state.failing is not None:
            self.state.failing = self.state.failing_since = None
            log.info("getUpdates works again")
        self.state.last_success = monotonic()


def _pause(error: TelegramError, failures: int) -> float:
    """Return the seconds to wait after a failure: what Telegram asks, or a jittered backoff."""
    if isinstance(error, RetryAfter):
        return seconds_asked(error)
    most = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10))
    return random.uniform(most / 2, most)  # noqa: S311 — jitter, not a secret
