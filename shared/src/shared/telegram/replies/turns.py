"""Whatever a handler asks of Telegram itself waits for its turn in the outbox, too.

`await message.reply_photo(...)` goes the way of `context.outbox.send`: in the order of its chat,
within the limits, again where that can help. Only, it is waited for: it returns or raises what
python-telegram-bot returns or raises.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from telegram.error import NetworkError
from telegram.ext import BaseRateLimiter

from shared.telegram.replies.outbox import Outbox, in_turn

IN_ORDER = ("send", "edit", "copy", "forward", "delete", "pin", "unpin", "stop", "set")
"""How methods begin whose order within a chat people see."""
AT_ONCE = {"sendChatAction"}


class Turns(BaseRateLimiter[None]):
    """What python-telegram-bot calls a rate limiter: every request passes through it."""

    outbox: Outbox
    """Set when the bot is there whose requests these are."""

    async def initialize(self) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close; the outbox is closed by itself."""

    async def process_request(  # noqa: PLR0913, PLR0917 — the signature is python-telegram-bot's
        self,
        callback: Callable[..., Coroutine[Any, Any, Any]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: None,
    ) -> Any:
        """Make a request in its turn.

        Raises:
            TelegramError: Telegram refused it, or did not answer often enough, or too much waits.
        """
        del rate_limit_args
        chat = data.get("chat_id")
        waits = endpoint.startswith(IN_ORDER) and endpoint not in AT_ONCE
        if chat is None or in_turn.get() or not waits:
            return await callback(*args, **kwargs)
        answers: list[Any] = []

        async def call() -> None:
            answers.append(await callback(*args, **kwargs))

        reply = self.outbox.put(chat, call)
        if await reply.sent and answers:
            return answers[0]
        raise reply.error or NetworkError("too many requests wait for this chat")
