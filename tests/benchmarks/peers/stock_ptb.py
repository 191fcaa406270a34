"""A python-telegram-bot bot as its documentation has it, publishing with FastStream's publisher.

Run with the interpreter of the peers' environment; nothing of Herald is imported.
"""

import asyncio
import os
from typing import Any

from faststream.redis import RedisBroker
from telegram import Update
from telegram.ext import ApplicationBuilder, CommandHandler

ANSWERS = os.environ["ANSWERS"] == "yes"

broker = RedisBroker(os.environ["REDIS_URL"])
publisher = broker.publisher(stream="command_received")


async def command(update: Update, context: Any) -> None:
    """Publish the command, then answer."""
    message = update.message
    if message is None or message.from_user is None:
        return
    event = {
        "command": message.text,
        "args": context.args,
        "user_id": message.from_user.id,
        "timestamp": message.date.isoformat(),
    }
    await publisher.publish(event)
    if ANSWERS:
        await message.reply_text("Command published!")


async def wait(update: Update, context: Any) -> None:
    """Take as many seconds as were asked for."""
    del update
    await asyncio.sleep(float(context.args[0]))


async def start_broker(_application: Any) -> None:
    """Connect before polling begins."""
    await broker.start()


def main() -> None:
    """Poll until killed."""
    builder = ApplicationBuilder().token(os.environ["TELEGRAM_BOT_TOKEN"])
    builder = builder.base_url(f"{os.environ['TELEGRAM_API_URL']}/bot").post_init(start_broker)
    application = builder.build()
    application.add_handler(CommandHandler("command", command))
    application.add_handler(CommandHandler("wait", wait))
    application.run_polling()


main()
