"""What a publisher does where the server's memory is full: make room, be patient, then give up.

A full server refuses a script before its first write, so the answer is "not written". What all
readers have finished with is trimmed and the call made again. Where that helps nothing for
`PATIENCE` seconds, what does not fit is given up at once until the server has had room for as
long: its sender is better told than kept waiting for what nobody can promise.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import structlog
from redis.exceptions import OutOfMemoryError

from shared.process import Backoff, check_cancelled
from shared.streams.retry import RedisOutage, until_answered

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE = 15.0
"""Seconds for which a full server is given time: a subscriber that was restarted has caught up."""


class Room:
    """How full the server is for one publisher.

    Args:
        trim: trims what can be trimmed now; returns when that is done, or cannot be.
    """

    def __init__(self, trim: Callable[[], Awaitable[None]]) -> None:
        self._trim = trim
        self._full_since = 0.0
        self._refused_last = float("-inf")

    async def ask(self, call: Callable[[], Awaitable[T]], outage: RedisOutage) -> T | None:
        """Make a repeatable call until it is answered; None where there is no room for it."""
        try:
            return await until_answered(call, outage, (OutOfMemoryError,))
        except OutOfMemoryError:
            self._note()
            return None

    async def insist(self, call: Callable[[], Awaitable[T]], outage: RedisOutage) -> T | None:
        """Make room and call again, and again; None where that was in vain."""
        backoff = Backoff(most=PATIENCE / 8)
        while True:
            await self._trim()
            answer = await self.ask(call, outage)
            if answer is not None or monotonic() - self._full_since >= PATIENCE:
                return answer
            check_cancelled()
            await asyncio.sleep(backoff.next())

    def _note(self) -> None:
        """Note that the server has refused a write for want of memory."""
        now = monotonic()
        if now - self._refused_last >= PATIENCE:
            self._full_since = now
            log.error("redis is full", patience=PATIENCE)
        self._refused_last = now
