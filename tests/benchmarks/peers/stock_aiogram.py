"""An aiogram bot as its documentation has it, publishing with FastStream's publisher.

Its default starts a task for every update of a backlog at once, which exhausts the publisher's
pool of 100 connections and loses events; 32 tasks at a time are its fastest setting without loss.
Run with the interpreter of the peers' environment; nothing of Herald is imported.
"""

import asyncio
import os

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import Command, CommandObject
from aiogram.types import Message
from faststream.redis import RedisBroker

ANSWERS = os.environ["ANSWERS"] == "yes"
TASKS = 32

broker = RedisBroker(os.environ["REDIS_URL"])
publisher = broker.publisher(stream="command_received")
dispatcher = Dispatcher()


@dispatcher.message(Command("command"))
async def on_command(message: Message, command: CommandObject) -> None:
    """Publish the command, then answer."""
    if message.from_user is None:
        return
    event = {
        "command": message.text,
        "args": (command.args or "").split(),
        "user_id": message.from_user.id,
        "timestamp": message.date.isoformat(),
    }
    await publisher.publish(event)
    if ANSWERS:
        await message.answer("Command published!")


@dispatcher.message(Command("wait"))
async def on_wait(message: Message, command: CommandObject) -> None:
    """Take as many seconds as were asked for."""
    del message
    await asyncio.sleep(float(command.args or 0))


async def main() -> None:
    """Poll until killed."""
    await broker.start()
    server = TelegramAPIServer.from_base(os.environ["TELEGRAM_API_URL"])
    bot = Bot(os.environ["TELEGRAM_BOT_TOKEN"], session=AiohttpSession(api=server))
    await dispatcher.start_polling(bot, tasks_concurrency_limit=TASKS)


asyncio.run(main())
