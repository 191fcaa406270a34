"""Give the bot its handlers and run it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telegram.ext import MessageHandler
from telegram.ext.filters import UpdateType

from shared.telegram import SHOWS_COMMAND, WANTS_ANSWER, Bot, ShownCommand, run_bot
from tg_bot.handlers import (
    COMMANDS,
    NOTICES,
    BotData,
    handle_command,
    handle_edit,
    handle_help,
    handle_start,
)
from tg_bot.settings import Settings
from tg_bot.users import Users

REGISTRATION_GRACE = 1.0
"""Seconds that registrations get when the bot is stopped."""


@asynccontextmanager
async def assemble(bot: Bot[BotData], settings: Settings) -> AsyncIterator[None]:
    """Give the bot its handlers, and hold open what they need."""
    bot.bot_data = BotData(users=Users(settings.api_base_url))
    bot.notices = NOTICES
    bot.add_handler(ShownCommand("command", handle_command))
    bot.add_handler(ShownCommand("start", handle_start))
    bot.add_handler(ShownCommand("help", handle_help))
    bot.add_handler(MessageHandler(UpdateType.MESSAGE & WANTS_ANSWER, handle_help))
    bot.add_handler(MessageHandler(UpdateType.EDITED_MESSAGE & SHOWS_COMMAND, handle_edit))
    yield
    await bot.bot_data.users.close(REGISTRATION_GRACE)


def main() -> int:
    """Run the bot as a process; return its exit code."""
    return run_bot("tg_bot", Settings, assemble, commands=COMMANDS)
