"""Two independent Bot API clients work against the simulator, each with its own polling."""

import asyncio

import aiogram
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import Command
from aiogram.types import Message
from telegram import Update
from telegram.ext import ApplicationBuilder, CommandHandler, ContextTypes

from telegram_sim.client import SimClient

NAME = "Ада 🚀"


async def _answer_with_telegram(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.effective_message is not None
    assert update.effective_user is not None
    answer = f"{update.effective_user.first_name}: {' '.join(context.args or [])}"
    await update.effective_message.reply_text(answer)


async def test_python_telegram_bot_polls_and_answers(sim: SimClient, token: str) -> None:
    """A stock python-telegram-bot application receives what a user wrote, and answers it."""
    application = (
        ApplicationBuilder().token(token).base_url(f"{sim.base_url}/bot").job_queue(None).build()
    )
    application.add_handler(CommandHandler("echo", _answer_with_telegram))
    async with application:
        assert application.updater is not None
        await application.updater.start_polling(timeout=1)
        await application.start()
        try:
            written = await sim.write("/echo привет 🚀", user={"id": 7, "first_name": NAME})
            answer = await sim.wait_for_answer(7, after=written.message_id)
        finally:
            await application.updater.stop()
            await application.stop()
    assert answer.text == f"{NAME}: привет 🚀"
    overview = await sim.overview()
    bot = overview.bots[int(token.partition(":")[0])]
    assert bot.pending == 0
    assert bot.confirmed_up_to == written.update_id


async def test_aiogram_polls_and_answers(sim: SimClient, token: str) -> None:
    """A stock aiogram dispatcher receives what a user wrote, and answers it."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(sim.base_url))
    bot = aiogram.Bot(token, session=session)
    dispatcher = aiogram.Dispatcher()

    @dispatcher.message(Command("echo"))
    async def answer_with_aiogram(message: Message) -> None:
        assert message.from_user is not None
        assert message.text is not None
        await message.answer(f"{message.from_user.first_name}: {message.text.partition(' ')[2]}")

    polling = asyncio.create_task(
        dispatcher.start_polling(bot, handle_signals=False, polling_timeout=1)
    )
    written = await sim.write("/echo привет 🚀", user={"id": 7, "first_name": NAME})
    answer = await sim.wait_for_answer(7, after=written.message_id)
    await dispatcher.stop_polling()
    await polling
    assert answer.text == f"{NAME}: привет 🚀"
    assert (await sim.overview()).bots[bot.id].sent == 1
