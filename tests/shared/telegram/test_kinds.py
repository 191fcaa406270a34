"""Telegram is asked for the kinds of updates that the registered handlers handle, and no others."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import pytest
from telegram import Update, ext
from telegram.ext import filters
from telegram.ext.filters import UpdateType

from shared.telegram import ShownCommand
from shared.telegram.updates.kinds import ALL, MESSAGES, kinds_of
from tests.odd_telegram import OddTelegram
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot


async def ignore(update: Any, context: Any) -> None:
    """Handle nothing."""


def message(filter_: Any) -> ext.MessageHandler[Any, Any]:
    """Return a handler of messages."""
    return ext.MessageHandler(filter_, ignore)


EDITED = {"edited_message", "edited_channel_post", "edited_business_message"}
POSTS = {"channel_post", "edited_channel_post"}
BOOSTS = {"chat_boost", "removed_chat_boost"}
PRESS = ext.CallbackQueryHandler(ignore)
CASES: list[tuple[Any, Collection[str]]] = [
    (message(UpdateType.MESSAGE), {"message"}),
    (message(UpdateType.MESSAGE & filters.TEXT), {"message"}),
    (message(filters.TEXT & ~UpdateType.EDITED), MESSAGES - EDITED),
    (message(UpdateType.CHANNEL_POST | UpdateType.EDITED_CHANNEL_POST), POSTS),
    (message(UpdateType.CHANNEL_POSTS ^ UpdateType.CHANNEL_POST), {"edited_channel_post"}),
    (message(~filters.TEXT), set(MESSAGES)),
    (message(None), set(MESSAGES)),
    (message(filters.ALL), set(MESSAGES)),
    (ext.CommandHandler("a", ignore), {"message", "edited_message"}),
    (ext.PrefixHandler("!", "a", ignore), {"message", "edited_message"}),
    (ShownCommand("a", ignore), {"message"}),
    (PRESS, {"callback_query"}),
    (ext.ChatMemberHandler(ignore), {"my_chat_member"}),
    (ext.ChatMemberHandler(ignore, ext.ChatMemberHandler.CHAT_MEMBER), {"chat_member"}),
    (ext.ChatBoostHandler(ignore, ext.ChatBoostHandler.ANY_CHAT_BOOST), BOOSTS),
    (ext.MessageReactionHandler(ignore), {"message_reaction", "message_reaction_count"}),
    (ext.StringCommandHandler("a", ignore), set()),
    (ext.TypeHandler(Update, ignore), set(ALL)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("handler", "kinds"),
    CASES,
    ids=[f"{n} {type(case[0]).__name__}" for n, case in enumerate(CASES)],
)
def test_a_handler_says_what_it_handles(handler: Any, kinds: set[str]) -> None:
    """By its class, its choice, its filter, or its own attribute; what says nothing gets all."""
    assert kinds_of([handler]) == kinds


def test_a_conversation_is_all_of_its_handlers() -> None:
    """Those that begin it, those of its states, those that end it."""
    begin: Any = ext.CommandHandler("a", ignore)
    poll: Any = ext.PollAnswerHandler(ignore)
    reaction: Any = ext.MessageReactionHandler(ignore)
    conversation: Any = ext.ConversationHandler(
        [begin], {0: [poll], 1: [message(UpdateType.MESSAGE)]}, [reaction],
        per_chat=False,
    )  # fmt: skip
    expected = {
        *("message", "edited_message", "poll_answer"),
        *("message_reaction", "message_reaction_count"),
    }
    assert kinds_of([conversation]) == expected


def test_no_kind_and_no_handler_of_the_library_is_forgotten() -> None:
    """A release that adds one is noticed: one kind of handler for each kind of update."""
    classes = [
        kind
        for kind in vars(ext).values()
        if isinstance(kind, type) and issubclass(kind, ext.BaseHandler)
    ]
    covered: set[str] = set()
    for kind in classes:
        if kind in {ext.BaseHandler, ext.TypeHandler, ext.ConversationHandler}:
            continue
        made: Any = kind.__new__(kind)
        for attribute in ("chat_member_types", "chat_boost_types", "message_reaction_types"):
            if hasattr(kind, attribute):
                setattr(made, attribute, 1)
        if hasattr(kind, "filters"):
            made.filters = None
        kinds = kinds_of([made])
        assert kinds != ALL, kind
        covered |= kinds
    assert covered == ALL


async def test_the_poll_asks_for_them(redis_server: RedisServer) -> None:
    """The bot of these tests handles new and edited messages."""
    async with OddTelegram() as telegram:
        with bot(redis_server.url, telegram.url):
            async with asyncio.timeout(30):
                while not telegram.called("getUpdates"):
                    await asyncio.sleep(0.05)
    asked = json.loads(telegram.called("getUpdates")[0]["allowed_updates"])
    assert asked == ["edited_message", "message"]
