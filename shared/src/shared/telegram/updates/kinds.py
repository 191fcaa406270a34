"""Which kinds of updates the registered handlers can handle: those that Telegram is asked for.

Telegram drops the other kinds on arrival. A handler of python-telegram-bot says by its class what
it handles, one for messages by its filter; any other may have an attribute `kinds`, and where it
has none all kinds are asked for.
Source: core.telegram.org/bots/api#update, docs.python-telegram-bot.org.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from telegram import Chat, Message, Update, ext
from telegram.ext.filters import BaseFilter, UpdateFilter, UpdateType

Kinds = frozenset[str]

ALL: Kinds = frozenset(map(str, Update.ALL_TYPES))
NONE: Kinds = frozenset()
MESSAGES = frozenset(
    (
        *("message", "edited_message", "channel_post", "edited_channel_post"),
        *("business_message", "edited_business_message", "guest_message"),
    )
)
"""Kinds that are messages, which is what a filter can let through."""

OF_CLASS: dict[type[ext.BaseHandler[Any, Any, Any]], str] = {
    ext.BusinessConnectionHandler: "business_connection",
    ext.BusinessMessagesDeletedHandler: "deleted_business_messages",
    ext.CallbackQueryHandler: "callback_query",
    ext.ChatJoinRequestHandler: "chat_join_request",
    ext.ChosenInlineResultHandler: "chosen_inline_result",
    ext.InlineQueryHandler: "inline_query",
    ext.ManagedBotUpdatedHandler: "managed_bot",
    ext.PaidMediaPurchasedHandler: "purchased_paid_media",
    ext.PollAnswerHandler: "poll_answer",
    ext.PollHandler: "poll",
    ext.PreCheckoutQueryHandler: "pre_checkout_query",
    ext.ShippingQueryHandler: "shipping_query",
}
WITH_A_CHOICE: dict[type[ext.BaseHandler[Any, Any, Any]], tuple[str, tuple[str, str]]] = {
    ext.ChatBoostHandler: ("chat_boost_types", ("chat_boost", "removed_chat_boost")),
    ext.ChatMemberHandler: ("chat_member_types", ("my_chat_member", "chat_member")),
    ext.MessageReactionHandler: (
        "message_reaction_types",
        ("message_reaction", "message_reaction_count"),
    ),
}
"""Handlers of two kinds, with the attribute that says which: -1 the first, 0 the second, 1 both."""
OF_KINDS = f"{UpdateType.__name__}."
"""How the names of filters begin that look at the kind of an update and at nothing else."""
WITH_A_FILTER = (ext.MessageHandler, ext.CommandHandler, ext.PrefixHandler)
OF_NO_UPDATE = (ext.StringCommandHandler, ext.StringRegexHandler)


def kinds_asked(application: Any) -> list[str]:
    """Return the kinds of updates that Telegram is asked for; it drops the others."""
    handlers = (each for group in application.handlers.values() for each in group)
    return sorted(kinds_of(handlers)) or ["message"]  # an empty list asks for the usual ones


def kinds_of(handlers: Iterable[object]) -> Kinds:
    """Return the kinds of updates that some of these handlers may handle."""
    return NONE.union(*(_kinds(handler) for handler in handlers))


def _kinds(handler: Any) -> Kinds:
    """Return what one handler may handle."""
    if (own := getattr(handler, "kinds", None)) is not None:
        return frozenset(own)
    if isinstance(handler, ext.ConversationHandler):
        states = (each for state in handler.states.values() for each in state)
        return kinds_of((*handler.entry_points, *states, *handler.fallbacks))
    if isinstance(handler, WITH_A_FILTER):
        return _passing(handler.filters)[0]
    if isinstance(handler, OF_NO_UPDATE):
        return NONE
    for kind, (attribute, both) in WITH_A_CHOICE.items():
        if isinstance(handler, kind):
            choice = getattr(handler, attribute)
            return frozenset(both if choice > 0 else both[choice + 1 : choice + 2])
    return next(
        (frozenset((name,)) for kind, name in OF_CLASS.items() if isinstance(handler, kind)), ALL
    )


def _passing(filter_: BaseFilter | None) -> tuple[Kinds, Kinds]:
    """Return the kinds of messages that a filter may let through, and those it may hold back."""
    parts = {
        name: _passing(part)
        for name in ("base_filter", "and_filter", "or_filter", "xor_filter", "inv_filter")
        if isinstance(part := getattr(filter_, name, None), BaseFilter)
    }
    if "inv_filter" in parts:
        passes, holds = parts["inv_filter"]
        return holds, passes
    if "and_filter" in parts:
        (passes, holds), (also, either) = parts["base_filter"], parts["and_filter"]
        return passes & also, holds | either
    if "or_filter" in parts:
        (passes, holds), (also, either) = parts["base_filter"], parts["or_filter"]
        return passes | also, holds & either
    if "xor_filter" in parts:
        (passes, holds), (also, either) = parts["base_filter"], parts["xor_filter"]
        return (passes & either) | (holds & also), (passes & also) | (holds & either)
    if not isinstance(filter_, UpdateFilter) or not type(filter_).__qualname__.startswith(OF_KINDS):
        return MESSAGES, MESSAGES
    passes = _own(filter_)
    return passes, MESSAGES - passes


@cache
def _own(filter_: UpdateFilter) -> Kinds:
    """Return the kinds that a filter lets through which looks at nothing else."""
    return frozenset(kind for kind in MESSAGES if filter_.check_update(_update_of(kind)))


def _update_of(kind: str) -> Update:
    """Return an update of a kind, for filters that look at nothing else."""
    message = Message(1, datetime.fromtimestamp(0, UTC), Chat(1, Chat.PRIVATE))
    fields: dict[str, Any] = {kind: message}
    return Update(1, **fields)
