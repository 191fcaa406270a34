"""Which command a message shows to whoever reads it.

python-telegram-bot's `CommandHandler` asks for an entity `bot_command` that comes first: it
misses a command in bold, in a quote, in code, or in a caption. People see the text, so the text
decides. The form is the one by which Telegram itself finds commands, at the start of the message.
Source: `match_bot_commands` in td/telegram/MessageEntity.cpp of github.com/tdlib/td.
"""

import re
from typing import Any

from telegram import Message, Update
from telegram.ext import BaseHandler
from telegram.ext.filters import ChatType, MessageFilter, StatusUpdate

from shared.telegram.context import Context

SHOWN = re.compile(r"/([a-zA-Z0-9_]{1,64})(?:@([a-zA-Z0-9_]{3,32}))?(?!\B|[/<>])")


def shown_text(message: Message) -> str:
    """Return what a message shows: its text, or the caption of what it carries."""
    return message.text or message.caption or ""


def shown_command(message: Message) -> str | None:
    """Return the name of the command that a message begins with, in small letters.

    None where it begins with none, or with one that names another bot.
    """
    shown = SHOWN.match(shown_text(message))
    if shown is None:
        return None
    name, addressee = shown.groups()
    if addressee and addressee.lower() != message.get_bot().username.lower():
        return None
    return str(name).lower()


class ShownCommand(BaseHandler[Update, Context[Any], None]):
    """Handles new messages that show one command; `context.args` are the words after it."""

    kinds = ("message",)

    def __init__(self, command: str, callback: Any) -> None:
        super().__init__(callback)
        self._command = command

    def check_update(self, update: object) -> list[str] | None:
        """Return the words after the command; None where the message does not show it."""
        message = update.message if isinstance(update, Update) else None
        if message is None or shown_command(message) != self._command:
            return None
        return shown_text(message).split()[1:]

    def collect_additional_context(
        self, context: Context[Any], update: Update, application: Any, check_result: Any
    ) -> None:
        """Give the handler the words."""
        del update, application
        context.args = check_result


class _ShowsCommand(MessageFilter):
    """Messages that begin with any command of ours, known or not."""

    def filter(self, message: Message) -> bool:
        return shown_command(message) is not None


SHOWS_COMMAND = _ShowsCommand(name="SHOWS_COMMAND")
WANTS_ANSWER = SHOWS_COMMAND | (ChatType.PRIVATE & ~StatusUpdate.ALL)
"""Messages that somebody wrote to the bot: in a group those with a command, in private any.
What Telegram says by itself (a pinned message, a changed timer) is written by nobody."""
