"""Replies on their way to Telegram, off the critical path and within its limits.

A reply never holds back the confirmation of an update: no method of the Bot API that sends has an
idempotency key, so a reply is best effort, unlike the event.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from aiolimiter import AsyncLimiter
from telegram import Bot

from shared.metrics import catalogue
from shared.telegram.replies.limits import Chat, Limits
from shared.telegram.replies.sending import Call, Reply, deliver

log = structlog.get_logger(__name__)

CAPACITY = 10_000
"""Replies that may wait; beyond it new ones are dropped, and a line says so."""
CHAT_CAPACITY = 250
"""Replies that may wait for one chat, which takes one a second: nobody's flood fills the outbox."""
ATTEMPTS = 5
INSISTENT_ATTEMPTS = 12

in_turn: ContextVar[bool] = ContextVar("in_turn", default=False)
"""Whether what is asked of Telegram in this context has had its turn already."""


@dataclass(slots=True)
class _Chat:
    """The replies that wait for one chat; they are sent in order."""

    limiter: AsyncLimiter | None
    replies: deque[Reply] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    dropping: bool = False


class Outbox:
    """Makes requests in the background, in order for each chat."""

    def __init__(self, bot: Bot, limits: Limits | None = None) -> None:
        self._bot = bot
        self._limits = limits or Limits()
        self._overall = self._limits.of_all()
        self._chats: dict[Chat, _Chat] = {}
        self._beside: set[asyncio.Task[bool]] = set()
        self._waiting = 0
        self._dropping = False

    def send(self, chat_id: Chat, text: str, **options: Any) -> asyncio.Future[bool]:
        """Send a text soon; the future tells whether Telegram took it, for those who must know.

        Args:
            chat_id: where to.
            text: what.
            options: whatever else `send_message` takes, `reply_markup` for example.
        """
        if options:
            return self.put(chat_id, partial(self._bot.send_message, chat_id, text, **options)).sent
        return self.put(chat_id, text).sent

    def call(
        self,
        chat_id: Chat | None,
        method: Callable[..., Awaitable[Any]],
        *args: Any,
        **options: Any,
    ) -> asyncio.Future[bool]:
        """Call any method of the Bot API soon, in its turn: a photo, an edit, an answer.

        Args:
            chat_id: the chat whose turn it waits for; None for what belongs to none, such as
                `query.answer`, which waits for nothing.
            method: of the bot, a message or a query of python-telegram-bot.
            args: its arguments.
            options: its named arguments.
        """
        if chat_id is not None:
            return self.put(chat_id, partial(method, *args, **options)).sent
        task = asyncio.create_task(
            self._at_once(Reply(partial(method, *args, **options)), ATTEMPTS)
        )
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def put(self, chat_id: Chat, call: Call | str) -> Reply:
        """Have a request, or a text, wait for its turn in a chat; it fails where too much waits."""
        reply = Reply(call)
        chat = self._chats.get(chat_id)
        if chat is not None and len(chat.replies) >= CHAT_CAPACITY:
            if not chat.dropping:
                log.warning("a chat has too many replies, new ones are dropped", chat=chat_id)
            chat.dropping = True
            catalogue.REPLIES.add("dropped")
            reply.sent.set_result(False)
            return reply
        if self._waiting >= CAPACITY:
            if not self._dropping:
                log.error("outbox is full, replies are dropped", waiting=self._waiting)
            self._dropping = True
            catalogue.REPLIES.add("dropped")
            reply.sent.set_result(False)
            return reply
        self._dropping = False
        self._waiting += 1
        if chat is None:
            chat = self._chats[chat_id] = _Chat(self._limits.of_chat(chat_id))
        chat.dropping = False
        chat.replies.append(reply)
        if chat.worker is None:
            chat.worker = asyncio.create_task(self._work(chat_id, chat), name=f"reply {chat_id}")
        return reply

    async def tell(self, chat_id: int, text: str) -> bool:
        """Send a text now, ahead of all that waits: what its sender has to know.

        Returns:
            Whether Telegram took it; False where it never will.
        """
        call = partial(self._bot.send_message, chat_id, text)
        return await self._at_once(Reply(call), INSISTENT_ATTEMPTS)

    async def answer_query(self, query_id: str, text: str) -> bool:
        """Answer a callback query now, which stops the button's spinner; False where it cannot."""
        call = partial(self._bot.answer_callback_query, query_id, text)
        return await self._at_once(Reply(call), 1)

    async def measure(self) -> None:
        """Tell the metrics how many replies wait."""
        catalogue.REPLIES_WAITING.set(self._waiting)

    async def close(self, grace: float) -> None:
        """Send what waits for at most `grace` seconds, then give up on the rest."""
        workers = {chat.worker for chat in self._chats.values() if chat.worker is not None}
        tasks: set[asyncio.Task[Any]] = {*workers, *self._beside}
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._waiting:
            log.warning("replies not sent", count=self._waiting)

    async def _work(self, chat_id: Chat, chat: _Chat) -> None:
        """Send a chat's replies until none waits."""
        in_turn.set(True)
        while chat.replies:
            reply = chat.replies[0]
            if chat.limiter is not None:
                await chat.limiter.acquire()
            sent = await deliver(self._bot, reply, self._overall, ATTEMPTS, chat_id)
            chat.replies.popleft()
            self._waiting -= 1
            if not reply.sent.done():
                reply.sent.set_result(sent)
        chat.worker = None
        self._forget(chat_id, chat)

    def _forget(self, chat_id: Chat, chat: _Chat) -> None:
        """Forget a chat for which nothing waits, once its limit has nothing to remember either."""
        if chat.worker is not None or self._chats.get(chat_id) is not chat:
            return
        if chat.limiter is None or chat.limiter.has_capacity(chat.limiter.max_rate):
            del self._chats[chat_id]
        else:
            again = chat.limiter.time_period
            asyncio.get_running_loop().call_later(again, self._forget, chat_id, chat)

    async def _at_once(self, reply: Reply, attempts: int) -> bool:
        """Make a request without waiting for a turn."""
        token = in_turn.set(True)
        try:
            return await deliver(self._bot, reply, None, attempts, None)
        finally:
            in_turn.reset(token)
