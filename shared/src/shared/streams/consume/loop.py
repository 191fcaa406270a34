"""Reading a stream in a consumer group: every entry is handled, or stands in the dead letters.

An entry stays in the group's pending list until its handler has returned, so a consumer that dies
loses nothing: another one claims what has been left alone for too long. A handler may therefore
see an event twice and stores the event's id in the same transaction as its effect.
"""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from redis.exceptions import ResponseError

from shared.process import Backoff, check_cancelled, describe
from shared.streams.consume.group import Group
from shared.streams.consume.hand import Hand
from shared.streams.consume.limits import Limits
from shared.streams.retry import UNKNOWN, RedisOutage
from shared.streams.server.primary import PrimaryChangedError

log = structlog.get_logger(__name__)

CLAIM_AGAIN = 0.5
"""Seconds between two rounds of claiming while there is more than one round can take."""


class Loop:
    """One run of a consumer, from its start to its stop."""

    def __init__(self, group: Group, stream: str, hand: Hand[Any], limits: Limits) -> None:
        self.stopping = asyncio.Event()
        self._group = group
        self._stream = stream
        self._hand = hand
        hand.stop = self.stopping.set
        self._limits = limits
        self._outage = RedisOutage("consume")

    async def run(self) -> None:
        """Read and handle until told to stop, then drain."""
        keeper = asyncio.create_task(self._keep_house(), name=f"keep {self._stream}")
        try:
            await self._read()
            if waiting := await self._hand.drain():
                with suppress(PrimaryChangedError, *UNKNOWN):
                    await self._group.keep(waiting, idle=self._limits.claim_after + 1)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._hand.drop()

    async def _read(self) -> None:
        """Take new entries in hand, never more than `in_hand` at a time."""
        backoff = Backoff()
        has_group = changed = False
        while not self.stopping.is_set():
            check_cancelled()
            try:
                if not has_group:
                    await self._group.create()
                    has_group = True
                if changed:
                    self._hand.take(await self._group.own(self._limits.in_hand))
                    changed = False
                room = self._limits.in_hand - len(self._hand)
                if room <= 0:
                    await self._hand.some_finished(1.0)
                    continue
                self._hand.take(await self._group.read(room, self._limits.block))
            except PrimaryChangedError:
                # What is in hand is pending there still, or again, perhaps under other ids.
                log.warning("another primary; starting over", in_hand=len(self._hand))
                await self._hand.drop()
                has_group, changed = False, True
            except UNKNOWN as error:
                if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
                    has_group = False
                self._outage.failed(error)
                await self._pause(backoff.next())
            else:
                self._outage.worked()
                backoff.reset()

    async def _keep_house(self) -> None:
        """Claim what dead members left, and keep others off what is in hand."""
        while True:
            check_cancelled()
            pause = self._limits.claim_after / 3
            try:
                if ids := self._hand.ids:
                    await self._group.keep(ids)
                # Room of its own: a backlog that fills the reader's must not hold this back.
                room = 2 * self._limits.in_hand - len(self._hand)
                if room > 0 and not self.stopping.is_set():
                    abandoned = await self._group.claim(room, self._limits.claim_after)
                    self._hand.take(abandoned)
                    pause = CLAIM_AGAIN if len(abandoned) == room else pause
            except (PrimaryChangedError, *UNKNOWN) as error:
                log.debug("housekeeping put off", reason=describe(error))
            await asyncio.sleep(pause)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
