"""How much of the bot one sender may have, so that no one fills Redis for all the others.

Two leaky buckets a sender: messages in a minute, and bytes in a day; and a bound of what is in
hand, where handlers are slow. Who is over one of them is told once, and nothing more is taken
before a quarter of it is free again; what was not taken is no event. What is taken is answered as
always, so a sender knows which of the messages that were. A bot that is started anew begins with
empty buckets.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiolimiter import AsyncLimiter
from pydantic_core import to_json

from shared.telegram.notices import Notices
from shared.telegram.replies.outbox import Outbox
from shared.telegram.updates.parking import MOST
from shared.telegram.updates.senders import chat_of, sender_of

log = structlog.get_logger(__name__)

MINUTE, DAY = 60.0, 86400.0
RECOVERED = 0.25
"""Share of a bucket that has to be free before more is taken from a sender who was over it."""
MOST_SENDERS = 10_000
"""Senders that are remembered, at about 2 kB each; whoever was quiet longest is forgotten."""
MOST_IN_HAND = MOST // 4
"""Updates of one sender that are in hand, and no more than may be written in a minute."""
NOTICE_TIMEOUT = 10.0
"""Seconds that the first update which was not taken waits until its sender was told."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one sender may write; 0 is no limit."""

    messages_a_minute: float
    bytes_a_day: float


NO_QUOTA = Quota(0, 0)


@dataclass(slots=True)
class _Sender:
    """One sender's buckets, and whether they are over the quota and were told so."""

    messages: AsyncLimiter | None
    bytes: AsyncLimiter | None
    over: bool = False
    notified: bool = False


class Flood:
    """Decides which updates are taken."""

    def __init__(self, quota: Quota, outbox: Outbox, notices: Callable[[Any], Notices]) -> None:
        self._quota = quota
        self._outbox = outbox
        self._notices = notices
        self._senders: OrderedDict[int, _Sender] = OrderedDict()

    async def admits(self, update: dict[str, Any], in_hand: int) -> bool:
        """Whether an update is to be handled; it counts, and this returns without waiting.

        Args:
            update: as Telegram wrote it.
            in_hand: how many others of its sender are not finished.
        """
        if self._quota == NO_QUOTA or (number := sender_of(update)) is None:
            return True
        sender, size = self._sender(number), float(size_of(update))
        share = RECOVERED if sender.over else 0.0
        most = min(self._quota.messages_a_minute or MOST_IN_HAND, MOST_IN_HAND)
        few = in_hand < most * (1 - share)
        if few and _has_room(sender.messages, 1.0, share) and _has_room(sender.bytes, size, share):
            sender.over = sender.notified = False
            for bucket, amount in ((sender.messages, 1.0), (sender.bytes, size)):
                if bucket is not None:
                    await bucket.acquire(amount)
            return True
        if not sender.over:
            sender.over = True
            log.warning("sender is over the quota", sender=number)
        return False

    async def turn_away(self, update: dict[str, Any]) -> None:
        """Tell the sender of an update that is not taken, once for all that is turned away.

        That one alone waits until they were told, or could not be: others wait for nobody.
        """
        number = sender_of(update)
        if number is None:
            return
        sender = self._sender(number)
        if not sender.notified:
            sender.notified = True
            await self._tell(chat_of(update) or number, self._notices(update).too_much)

    async def _tell(self, chat: int, text: str) -> None:
        try:
            async with asyncio.timeout(NOTICE_TIMEOUT):
                await self._outbox.tell(chat, text)
        except TimeoutError:
            log.error("sender over the quota not told", chat=chat)  # noqa: TRY400 — it says it all

    def _sender(self, number: int) -> _Sender:
        sender = self._senders.get(number)
        if sender is None:
            messages = _bucket(self._quota.messages_a_minute, MINUTE)
            sender = _Sender(messages, _bucket(self._quota.bytes_a_day, DAY))
            self._senders[number] = sender
            if len(self._senders) > MOST_SENDERS:
                self._senders.popitem(last=False)
        self._senders.move_to_end(number)
        return sender


def size_of(update: dict[str, Any]) -> int:
    """Return the bytes of an update as JSON; the event that is made of it has about as many."""
    try:
        return len(to_json(update))
    except ValueError:  # half a surrogate pair, which JSON in UTF-8 cannot hold
        return len(repr(update))


def _bucket(most: float, seconds: float) -> AsyncLimiter | None:
    return AsyncLimiter(most, seconds) if most else None


def _has_room(bucket: AsyncLimiter | None, amount: float, share: float) -> bool:
    """Whether a bucket takes an amount, and has had that share of it free."""
    return bucket is None or bucket.has_capacity(max(amount, share * bucket.max_rate))
