"""A bot on Herald's runtime with the commands of its peers: one that publishes, one that is slow.

Run with the interpreter of the bot's environment, which has the runtime and no tests.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telegram import Update

from shared.generated.events import publish_command_received
from shared.generated.schemas import CommandReceived
from shared.telegram import Bot, BotSettings, Context, ShownCommand, run_bot


async def command(update: Update, context: Context[Any]) -> None:
    """Publish the command, then answer."""
    message = update.message
    if message is None or message.from_user is None:
        return
    event = CommandReceived(
        command=message.text or "",
        args=context.args or [],
        user_id=message.from_user.id,
        timestamp=message.date,
    )
    await publish_command_received(event, event_id=context.event_id)
    context.outbox.send(message.chat_id, "Command published!")


async def wait(update: Update, context: Context[Any]) -> None:
    """Take as many seconds as were asked for."""
    await asyncio.sleep(float((context.args or ["0"])[0]))


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: BotSettings) -> AsyncIterator[None]:
    """Give the bot its handlers."""
    del settings
    bot.add_handler(ShownCommand("command", command))
    bot.add_handler(ShownCommand("wait", wait))
    yield


if __name__ == "__main__":
    sys.exit(run_bot("tg_bot", BotSettings, assemble))
