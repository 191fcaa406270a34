"""Replies on their way to Telegram, off the critical path and within its limits.

A reply never holds back the confirmation of an update: sendMessage has no idempotency key, so a
reply is best effort, unlike the event. Source of the limits: core.telegram.org/bots/faq.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import structlog
from aiolimiter import AsyncLimiter
from telegram import Bot
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from shared.telegram.api.request import seconds_asked

log = structlog.get_logger(__name__)

CAPACITY = 10_000
"""Replies that may wait; beyond it new ones are dropped, and a line says so."""
CHAT_CAPACITY = 250
"""Replies that may wait for one chat, which takes one a second: nobody's flood fills the outbox."""
ATTEMPTS = 5
INSISTENT_ATTEMPTS = 12
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages a second to everybody, and to one chat after a short burst.

    Where `overall` is 0 there is no limit at all: for a Bot API server of one's own, which limits
    by itself or not at all; its 429 are obeyed all the same.
    """

    overall: float = 30.0
    per_chat: float = 1.0
    burst: int = 3


@dataclass(slots=True)
class _Reply:
    text: str
    sent: asyncio.Future[bool] = field(default_factory=asyncio.Future)


@dataclass(slots=True)
class _Chat:
    """The replies that wait for one chat; they are sent in order."""

    limiter: AsyncLimiter | None
    replies: deque[_Reply] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    dropping: bool = False


class Outbox:
    """Sends text messages in the background, in order for each chat."""

    def __init__(self, bot: Bot, limits: Limits | None = None) -> None:
        self._bot = bot
        self._limits = limits or Limits()
        self._overall = _limiter(self._limits.overall, 1.0)
        self._idle = self._limits.burst / self._limits.per_chat
        self._chats: dict[int, _Chat] = {}
        self._waiting = 0
        self._dropping = False

    def send(self, chat_id: int, text: str) -> asyncio.Future[bool]:
        """Send a text soon; the future tells whether Telegram took it, for those who must know."""
        reply = _Reply(text)
        chat = self._chats.get(chat_id)
        if chat is not None and len(chat.replies) >= CHAT_CAPACITY:
            if not chat.dropping:
                log.warning("a chat has too many replies, new ones are dropped", chat=chat_id)
            chat.dropping = True
            reply.sent.set_result(False)
            return reply.sent
        if self._waiting >= CAPACITY:
            if not self._dropping:
                log.error("outbox is full, replies are dropped", waiting=self._waiting)
            self._dropping = True
            reply.sent.set_result(False)
            return reply.sent
        self._dropping = False
        self._waiting += 1
        if chat is None:
            limiter = (
                None if self._overall is None else AsyncLimiter(self._limits.burst, self._idle)
            )
            chat = self._chats[chat_id] = _Chat(limiter)
        chat.dropping = False
        chat.replies.append(reply)
        if chat.worker is None:
            chat.worker = asyncio.create_task(self._work(chat_id, chat), name=f"reply {chat_id}")
        return reply.sent

    async def tell(self, chat_id: int, text: str) -> bool:
        """Send a text now, ahead of all that waits: what its sender has to know.

        Returns:
            Whether Telegram took it; False where it never will.
        """
        return await self._deliver(chat_id, text, None, INSISTENT_ATTEMPTS)

    async def answer_query(self, query_id: str, text: str) -> bool:
        """Answer a callback query now, which stops the button's spinner; False where it cannot."""
        try:
            return await self._bot.answer_callback_query(query_id, text)
        except TelegramError as error:
            log.info("query not answered", reason=error.message)
            return False

    async def close(self, grace: float) -> None:
        """Send what waits for at most `grace` seconds, then give up on the rest."""
        workers = [chat.worker for chat in self._chats.values() if chat.worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=grace)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._waiting:
            log.warning("replies not sent", count=self._waiting)

    async def _work(self, chat_id: int, chat: _Chat) -> None:
        """Send a chat's replies until none waits."""
        while chat.replies:
            reply = chat.replies[0]
            if chat.limiter is not None:
                await chat.limiter.acquire()
            sent = await self._deliver(chat_id, reply.text, self._overall, ATTEMPTS)
            chat.replies.popleft()
            self._waiting -= 1
            if not reply.sent.done():
                reply.sent.set_result(sent)
        chat.worker = None
        self._forget(chat_id, chat)

    def _forget(self, chat_id: int, chat: _Chat) -> None:
        """Forget a chat for which nothing waits, once its limit has nothing to remember either."""
        if chat.worker is not None or self._chats.get(chat_id) is not chat:
            return
        if chat.limiter is None or chat.limiter.has_capacity(chat.limiter.max_rate):
            del self._chats[chat_id]
        else:
            asyncio.get_running_loop().call_later(self._idle, self._forget, chat_id, chat)

    async def _deliver(
        self, chat_id: int, text: str, limiter: AsyncLimiter | None, attempts: int
    ) -> bool:
        """Send one message, again where that can help; False where it cannot."""
        delay = FIRST_BACKOFF
        for _ in range(attempts):
            try:
                if limiter is not None:
                    await limiter.acquire()
                await self._bot.send_message(chat_id, text)
            except RetryAfter as error:
                delay = seconds_asked(error)
            except (BadRequest, Forbidden) as error:
                log.info("reply refused by Telegram", chat=chat_id, reason=error.message)
                return False
            except TelegramError as error:
                log.debug("reply not sent yet", chat=chat_id, reason=error.message)
            except Exception as error:  # noqa: BLE001 — whatever an answer can make the parser raise
                # It says "ok", so the message was taken; what it says besides cannot be read.
                log.warning("odd answer to a reply", chat=chat_id, error=type(error).__name__)
                return True
            else:
                return True
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_BACKOFF)
        log.warning("reply given up", chat=chat_id, attempts=attempts)
        return False


def _limiter(rate: float, seconds: float) -> AsyncLimiter | None:
    """Return a limiter of so many messages in so many seconds; None for no limit."""
    return AsyncLimiter(max(1.0, rate), seconds * max(1.0, 1.0 / rate)) if rate else None
