"""A Telegram bot whose every handler has the promise: what it publishes is there once, or told.

A bot's `__main__` is one call; `assemble` is an async context manager that gives the bot its
handlers and holds open what they need:

    sys.exit(run_bot("shop_bot", BotSettings, assemble))
"""

from shared.telegram.application import build_application, run_bot
from shared.telegram.context import Bot, Context
from shared.telegram.notices import Languages, Notices
from shared.telegram.settings import BotSettings
from shared.telegram.updates.commands import SHOWS_COMMAND, WANTS_ANSWER, ShownCommand, shown_text

__all__ = [
    "SHOWS_COMMAND",
    "WANTS_ANSWER",
    "Bot",
    "BotSettings",
    "Context",
    "Languages",
    "Notices",
    "ShownCommand",
    "build_application",
    "run_bot",
    "shown_text",
]
