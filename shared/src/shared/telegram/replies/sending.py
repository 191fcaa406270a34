"""Making one request of the Bot API until Telegram has taken it, or never will."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from aiolimiter import AsyncLimiter
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from shared.metrics import catalogue
from shared.process import Backoff
from shared.telegram.api.request import seconds_asked
from shared.telegram.replies.limits import Chat
from shared.tracing import current_span, failed, replying

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = structlog.get_logger(__name__)

Call = Callable[[], Awaitable[Any]]
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 30.0
FINAL = (BadRequest, ChatMigrated, Forbidden, InvalidToken)
"""What Telegram says where the same request can never work."""


@dataclass(slots=True)
class Reply:
    """A request that waits for its turn; of a text, which most are, no more than that is kept.

    Attributes:
        sent: whether Telegram took it, once that is known.
        error: why it did not.
        origin: the span in which it was asked for.
    """

    call: Call | str
    sent: asyncio.Future[bool] = field(default_factory=asyncio.Future)
    error: Exception | None = None
    origin: "Span | None" = field(default_factory=current_span)


async def deliver(
    bot: Bot, reply: Reply, limiter: AsyncLimiter | None, attempts: int, chat_id: Chat | None
) -> bool:
    """Make one request, again where that can help, in one span; False where it cannot."""
    with replying(reply.origin):
        sent = await _insist(bot, reply, limiter, attempts, chat_id)
        if not sent and reply.error is not None:
            failed(reply.error)
        return sent


async def _insist(
    bot: Bot, reply: Reply, limiter: AsyncLimiter | None, attempts: int, chat_id: Chat | None
) -> bool:
    """Make a request until Telegram has taken it, or there is no use in it any more."""
    backoff = Backoff(FIRST_BACKOFF, LAST_BACKOFF)
    for attempt in range(1, attempts + 1):
        asked = 0.0
        try:
            if limiter is not None:
                await limiter.acquire()
            await _request(bot, reply, chat_id)
        except RetryAfter as error:
            asked, reply.error = seconds_asked(error), error
            catalogue.REPLIES_LIMITED.add()
        except FINAL as error:
            log.info("reply refused by Telegram", chat=chat_id, reason=error.message)
            reply.error = error
            catalogue.REPLIES.add("refused")
            return False
        except TelegramError as error:
            log.debug("reply not sent yet", chat=chat_id, reason=error.message)
            reply.error = error
        except Exception as error:  # noqa: BLE001 — whatever an answer can make the parser raise
            # It says "ok", so the message was taken; what it says besides cannot be read.
            log.warning("odd answer to a reply", chat=chat_id, error=type(error).__name__)
            reply.error = error
            catalogue.REPLIES.add("sent")
            return True
        else:
            catalogue.REPLIES.add("sent")
            return True
        if attempt < attempts:
            await asyncio.sleep(asked or backoff.next())
    catalogue.REPLIES.add("given_up")
    log.warning("reply given up", chat=chat_id, attempts=attempts)
    return False


async def _request(bot: Bot, reply: Reply, chat_id: Chat | None) -> None:
    """Make a request, or send a text."""
    if callable(reply.call):
        await reply.call()
    elif chat_id is not None:
        await bot.send_message(chat_id, reply.call)
