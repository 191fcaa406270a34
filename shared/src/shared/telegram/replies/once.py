"""Sending what an event asks for: once, as far as Telegram permits.

A worker has nothing to do with Telegram: it publishes an event, and a bot that subscribes to it
sends. The event may be delivered again; what was sent is noted under its source and id. A bot that
dies between Telegram's answer and the note sends a second time, since no method of the Bot API that
sends has an idempotency key.
"""

from typing import TYPE_CHECKING

from shared.generated.events import Delivery, TryLaterError, broker, telegram_update
from shared.keys import beside
from shared.streams.retry import RedisOutage, until_answered
from shared.telegram.replies.sending import FINAL, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

SENT_LIFETIME = 8 * 24 * 3600
"""Seconds for which it is noted that an event was sent; a day more than a stream keeps events."""


async def send_once(delivery: Delivery, put: "Callable[[], Reply]") -> bool:
    """Send what an event asks for, unless that was sent before.

    Args:
        delivery: that of the event; its source and id say which one it is.
        put: puts the request into the outbox.

    Returns:
        Whether Telegram has taken it, now or before; False where it never will.

    Raises:
        TryLaterError: it has not, for a reason that passes; the event is delivered again.
    """
    client: Redis = await broker.connect()
    key = beside(telegram_update.name, f"sent:{delivery.source}:{delivery.event_id}")
    outage = RedisOutage("replies")

    async def look() -> bool:
        return await client.get(key) is not None

    async def note() -> None:
        await broker.write(telegram_update, "SET", key, "1", "EX", SENT_LIFETIME)

    if await until_answered(look, outage):
        return True
    reply = put()
    if await reply.sent:
        await until_answered(note, outage)
        return True
    if isinstance(reply.error, FINAL):
        return False
    raise TryLaterError("Telegram does not take the message now")
