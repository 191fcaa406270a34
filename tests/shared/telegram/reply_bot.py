"""`python -m tests.shared.telegram.reply_bot`: a bot that says what workers have published."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shared.generated.events import Delivery, subscribe_command_received
from shared.generated.schemas import CommandReceived
from shared.telegram import Bot, BotSettings, run_bot
from tests import processes

MODULE = "tests.shared.telegram.reply_bot"


@asynccontextmanager
async def assemble(bot: Bot[Any], settings: BotSettings) -> AsyncIterator[None]:
    """Subscribe it."""
    del settings

    @subscribe_command_received(group="reply_bot")
    async def say(event: CommandReceived, delivery: Delivery) -> None:
        await bot.send_once(delivery, event.user_id, event.command)

    yield


def bot(redis_url: str, telegram_url: str) -> processes.Service:
    """Return the bot as a process, between a Redis and a simulator."""
    service = processes.bot(redis_url, telegram_url)
    service.name = MODULE
    return service


if __name__ == "__main__":
    sys.exit(run_bot("reply_bot", BotSettings, assemble))
