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
from time import monotonic
from typing import Any, cast
from urllib.parse import urlencode

import structlog
from telegram import Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Application
from telegram.request import BaseRequest

log = structlog.get_logger(__name__)

BATCH = 100
LONG_POLL = 30
"""Seconds that one getUpdates waits for an update; Telegram allows 50."""
ANSWER_GRACE = 10.0
"""Seconds that the answer of a long poll may come late."""
STALE_AFTER = LONG_POLL + ANSWER_GRACE + 5.0
"""Seconds after the last getUpdates was sent from which the loop counts as standing still."""
FAILING_AFTER = 5.0
"""Seconds of failing getUpdates, without a good one, after which the loop counts as failing."""
STOP_GRACE = 8.0
"""Seconds that the batch in hand gets to become durable when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 5.0
ALLOWED_UPDATES = ("message",)
"""What the handlers handle; Telegram drops the rest on arrival and remembers this choice."""


@dataclass(slots=True)
class PollState:
    """What health wants to know of the loop; times are `monotonic` seconds."""

    asked: float | None = None
    last_success: float | None = None
    failing: str | None = None
    failing_since: float | None = None
    failures: int = 0
    conflicts: int = 0

    @property
    def moves(self) -> bool:
        """Whether the loop fetches updates: it asked lately, and the answers are good."""
        now = monotonic()
        asks = self.asked is not None and now - self.asked < STALE_AFTER
        return asks and (self.failing_since is None or now - self.failing_since < FAILING_AFTER)

    @property
    def age(self) -> float | None:
        """Return the seconds since the last good getUpdates; None before the first."""
        return None if self.last_success is None else monotonic() - self.last_success


class Poller:
    """Fetches, handles, and only then confirms; one request in flight, ever."""

    def __init__(
        self, application: Application[Any, Any, Any, Any, Any, Any], request: BaseRequest
    ) -> None:
        self.state = PollState()
        self._application = application
        self._request = request
        self._offset = 0
        self._confirmed = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set, then finish the batch and confirm it.

        Raises:
            InvalidToken: Telegram does not know the token; trying again cannot help.
        """
        stopping = asyncio.create_task(stop.wait(), name="wait for stop")
        try:
            while not stop.is_set():
                updates = await self._until(stopping, self._fetch())
                if updates and not await self._handle(updates, stopping):
                    log.warning("stopped with updates unhandled; Telegram will repeat them")
                    return
            if self._confirmed < self._offset:
                await self._confirm()
        finally:
            stopping.cancel()

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
        updates = await self._request.post(
            f"{self._application.bot.base_url}/getUpdates?{query}",
            read_timeout=wait + ANSWER_GRACE,
        )
        self._confirmed = offset
        return cast("list[dict[str, Any]]", updates)

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
        handled.result()
        self._offset = int(updates[-1]["update_id"]) + 1
        return True

    async def _handle_one(self, raw: dict[str, Any]) -> None:
        """Let the handlers have one update; it returns when what they caused is durable."""
        try:
            update = Update.de_json(raw, self._application.bot)
        except Exception:
            log.exception("update not understood", update=raw["update_id"], fields=sorted(raw))
            return
        await self._application.process_update(update)

    async def _confirm(self) -> None:
        """Confirm the last batch without waiting for another."""
        try:
            await self._get_updates(1, 0)
        except TelegramError as error:
            log.warning("last batch not confirmed; Telegram will repeat it", reason=error.message)

    async def _until(
        self, stopping: asyncio.Task[Any], fetching: Coroutine[Any, Any, list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return what was fetched, or nothing where the stop came first."""
        fetch = asyncio.create_task(fetching, name="getUpdates")
        await asyncio.wait({fetch, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not fetch.done():
            fetch.cancel()
            await asyncio.gather(fetch, return_exceptions=True)
            return []
        return fetch.result()

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
        after = error.retry_after
        return float(after) if isinstance(after, int) else after.total_seconds()
    most = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10))
    return random.uniform(most / 2, most)  # noqa: S311 — jitter, not a secret
