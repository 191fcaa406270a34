"""Waiting for the lease of a bot's token: of several bots one has its updates."""

import asyncio
from functools import partial
from time import monotonic
from typing import Any

import structlog

from shared.generated.events import Lease
from shared.telegram.updates.hand import Hand
from shared.telegram.updates.state import PollState

log = structlog.get_logger(__name__)

ASIDE_NOTICE_AFTER = 1.0
"""Seconds without the lease after which the log says that this bot stands by."""


class Standby:
    """What a bot does while it does not hold the lease.

    Args:
        lease: this process's contender.
        state: told whether it holds it.
        hand: forgets what it has where somebody else has held the lease since.
    """

    def __init__(self, lease: Lease, state: PollState, hand: Hand[Any]) -> None:
        self._lease = lease
        self._state = state
        self._hand = hand
        self._term = 0

    async def until_held(self, stopping: asyncio.Task[Any]) -> None:
        """Return when this bot holds the lease, or when it is to stop."""
        if self._lease.held:
            return
        self._state.active = False
        acquiring = asyncio.create_task(self._lease.acquire(), name="acquire lease")
        first = partial(asyncio.wait, {acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not (await first(timeout=ASIDE_NOTICE_AFTER))[0]:
            log.info("standing by: another bot with this token is at work, or Redis is away")
            await first()
        acquiring.cancel()
        await asyncio.gather(acquiring, return_exceptions=True)
        if not self._lease.held:
            return
        if self._lease.term != self._term + 1:
            self._hand.renew()  # somebody else was at work since; Telegram knows what is open
        self._term = self._lease.term
        self._state.active, self._state.asked = True, monotonic()
        log.info(self._state.at_work, term=self._term)
