"""Telling whoever caused an update what became of it; a button stops to spin."""

import asyncio
from typing import Any

import structlog
from telegram.error import TelegramError

from shared.metrics import catalogue
from shared.telegram.context import Bot
from shared.telegram.updates.senders import chat_of, query_of

log = structlog.get_logger(__name__)

NOTICE_TIMEOUT = 60.0
"""Seconds that the confirmation of an update waits for its sender to be told of a refusal."""


async def tell(application: Bot[Any], raw: Any, text: str) -> None:
    """Tell it ahead of all replies, and return when Telegram has taken it or never will."""
    chat, query = chat_of(raw), query_of(raw)
    outbox = application.outbox
    try:
        async with asyncio.timeout(NOTICE_TIMEOUT):
            if query is not None:
                await outbox.answer_query(query, text)
            if chat is not None and await outbox.tell(chat, text):
                return
    except (TimeoutError, TelegramError) as error:
        log.error("sender not told", chat=chat, reason=type(error).__name__)  # noqa: TRY400 — the line says it all
        return
    log.warning("sender not told", chat=chat, reason="no chat, or one that takes no message")


async def tell_of_delay(application: Bot[Any], raw: Any) -> None:
    """Tell that it takes longer: by the button that was pressed, or in the chat in its turn."""
    catalogue.UPDATES.add("delayed")
    chat, query = chat_of(raw), query_of(raw)
    text = application.notices_for(raw).delayed
    if query is not None and await application.outbox.answer_query(query, text):
        return
    if chat is not None:
        application.outbox.send(chat, text)
