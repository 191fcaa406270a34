"""What health and the loop know of each other."""

from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from telegram.error import Conflict, TelegramError

from shared.metrics import catalogue

log = structlog.get_logger(__name__)

LONG_POLL = 30
"""Seconds that one getUpdates waits for an update; Telegram allows 50."""
ANSWER_GRACE = 10.0
"""Seconds that the answer of a long poll may come late."""
STALE_AFTER = LONG_POLL + ANSWER_GRACE + 5.0
"""Seconds after the last getUpdates was sent from which the loop counts as standing still."""
FAILING_AFTER = 5.0
"""Seconds of failing getUpdates, without a good one, after which the loop counts as failing."""


@dataclass(slots=True)
class PollState:
    """What health wants to know of the loop; times are `monotonic` seconds.

    `method` is what it asks Telegram with, `at_work` what it does then: getUpdates and polling, or
    getWebhookInfo and receiving.
    `ready` means logged in; `active` is false while another bot holds the lease, or nobody can,
    and this one stands by.
    """

    method: str = "getUpdates"
    at_work: str = "polling"
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

    async def measure(self) -> None:
        """Tell the metrics how old the last good poll is, and whether this process polls."""
        good = self.last_success
        catalogue.POLL_AGE.set(None if good is None else monotonic() - good)
        catalogue.POLLS.set(self.active)

    def failed(self, error: TelegramError) -> None:
        """Count a failed poll and log it where the reason is a new one."""
        self.failures += 1
        catalogue.POLL_FAILURES.add()
        self.failing_since = self.failing_since or monotonic()
        if isinstance(error, Conflict):
            self.conflicts += 1
            catalogue.POLL_CONFLICTS.add()
        reason = f"{type(error).__name__}: {error.message}"
        if reason != self.failing:
            self.failing = reason
            event = f"{self.method} fails"
            log.warning(event, reason=reason)

    def worked(self) -> None:
        """Note a good poll, and log it after bad ones."""
        if self.failing is not None:
            self.failing = self.failing_since = None
            event = f"{self.method} works again"
            log.info(event)
        self.last_success = monotonic()
