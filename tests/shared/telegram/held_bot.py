"""`python -m tests.shared.telegram.held_bot`: a bot whose `/hold` lasts while a file is there."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from telegram import Update

from shared.telegram import Bot, BotSettings, Context, ShownCommand, run_bot
from tests import processes
from tests.shared.telegram.a_bot import handle_command

MODULE = "tests.shared.telegram.held_bot"
FILE = "HELD_BY"


async def handle_hold(update: Update, context: Context[Any]) -> None:
    """Publish the command when the file is gone."""
    while await asyncio.to_thread(Path(os.environ[FILE]).exists):
        await asyncio.sleep(0.1)
    await handle_command(update, context)


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: BotSettings) -> AsyncIterator[None]:
    """Give the bot its handlers."""
    del settings
    bot.add_handler(ShownCommand("command", handle_command))
    bot.add_handler(ShownCommand("hold", handle_hold))
    yield


def bot(redis_url: str, telegram_url: str, held_by: Path) -> processes.Service:
    """Return the bot as a process, whose answers wait for nothing."""
    service = processes.bot(redis_url, telegram_url)
    service.name = MODULE
    service.variables |= {FILE: str(held_by), "REPLIES_PER_SECOND": "0", "HANDLER_TIMEOUT": "300"}
    return service


if __name__ == "__main__":
    sys.exit(run_bot("held_bot", BotSettings, assemble))
