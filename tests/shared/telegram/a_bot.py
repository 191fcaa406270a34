"""`python -m tests.shared.telegram.a_bot`: a bot of these tests, with two commands."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telegram import Update
from telegram.ext import MessageHandler
from telegram.ext.filters import UpdateType

from shared.generated.events import publish_command_received
from shared.generated.schemas import CommandReceived
from shared.telegram import (
    SHOWS_COMMAND,
    WANTS_ANSWER,
    Bot,
    BotSettings,
    Context,
    Notices,
    ShownCommand,
    run_bot,
    shown_text,
)
from tests import processes

MODULE = "tests.shared.telegram.a_bot"
HELP, EDITED, PUBLISHED = "Here is what I understand:", "I do not carry out.", "Command published!"
WAITED = "I have waited."
NOTICES = {"": Notices(refused="Failed to send command.", delayed="Your command is delayed.")}


async def handle_command(update: Update, context: Context[Any]) -> None:
    """Publish the command."""
    message = update.message
    assert message is not None
    event = CommandReceived.model_validate(
        {
            "command": shown_text(message),
            "args": context.args,
            "user_id": message.from_user and message.from_user.id,
            "timestamp": message.date,
        }
    )
    await publish_command_received(event, event_id=context.event_id)
    context.outbox.send(message.chat_id, PUBLISHED)


async def handle_wait(update: Update, context: Context[Any]) -> None:
    """`/wait SECONDS`: answer after a while."""
    assert update.message is not None
    assert context.args
    await asyncio.sleep(float(context.args[0]))
    context.outbox.send(update.message.chat_id, WAITED)


async def handle_help(update: Update, context: Context[Any]) -> None:
    """Answer whatever wants an answer."""
    assert update.message is not None
    context.outbox.send(update.message.chat_id, HELP)


async def handle_edit(update: Update, context: Context[Any]) -> None:
    """Answer an edit."""
    assert update.edited_message is not None
    context.outbox.send(update.edited_message.chat_id, EDITED)


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: BotSettings) -> AsyncIterator[None]:
    """Give the bot its handlers."""
    del settings
    bot.notices = NOTICES
    bot.add_handler(ShownCommand("command", handle_command))
    bot.add_handler(ShownCommand("wait", handle_wait))
    bot.add_handler(MessageHandler(UpdateType.MESSAGE & WANTS_ANSWER, handle_help))
    bot.add_handler(MessageHandler(UpdateType.EDITED_MESSAGE & SHOWS_COMMAND, handle_edit))
    yield


def settings_for(telegram_url: str, redis_url: str, **others: object) -> BotSettings:
    """Return the variables of a bot in the test's own process, whose replies have no limit."""
    return BotSettings.model_validate(
        {
            "telegram_bot_token": "42:token",
            "replies_per_second": 0,
            "telegram_api_url": telegram_url,
            "redis_url": redis_url,
            **others,
        }
    )


def main() -> int:
    """Run it."""
    return run_bot("a_bot", BotSettings, assemble)


def bot(redis_url: str, telegram_url: str) -> processes.Service:
    """Return the bot as a process, between a Redis and a simulator."""
    service = processes.bot(redis_url, telegram_url)
    service.name = MODULE
    return service


if __name__ == "__main__":
    sys.exit(main())
