"""Two independent Bot API clients work against the simulator, each with its own polling."""

import asyncio

import aiogram
import pytest
import telegram
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.filters import Command
from aiogram.types import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Message
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


async def test_python_telegram_bot_understands_every_answer(
    sim: SimClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects are parsed, and each refusal is the exception that Telegram's would be."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # without it, reading retry_after warns
    await sim.write("/start", user={"id": 7, "first_name": NAME})
    async with telegram.Bot(token, base_url=f"{sim.base_url}/bot") as bot:
        commands = (telegram.BotCommand("start", "Begin"),)
        assert await bot.set_my_commands(commands)
        assert await bot.get_my_commands() == commands
        assert (await bot.get_chat(7)).first_name == NAME
        button = telegram.InlineKeyboardButton("Yes", callback_data="y")
        keyboard = telegram.InlineKeyboardMarkup([[button]])
        sent = await bot.send_message(7, "<b>Sure?</b>", "HTML", reply_markup=keyboard)
        assert sent.text_html == "<b>Sure?</b>"
        await sim.press(7, sent.message_id, "Yes")
        query = (await bot.get_updates(offset=-1))[0].callback_query
        assert query is not None
        assert (query.data, query.message) == ("y", sent)
        assert await query.answer("Done")
        edited = await bot.edit_message_text("Done", 7, sent.message_id)
        assert isinstance(edited, telegram.Message)
        assert edited.text == "Done"
        assert await bot.send_chat_action(7, "typing")
        assert await bot.delete_message(7, sent.message_id)
        assert (await bot.get_webhook_info()).pending_update_count == 1
        with pytest.raises(telegram.error.BadRequest, match="Chat not found"):
            await bot.send_message(8, "x")
        await sim.block(7)
        with pytest.raises(telegram.error.Forbidden, match="blocked by the user"):
            await bot.send_message(7, "x")
        await sim.add_fault("flood", method="getChat", count=1, retry_after=17)
        with pytest.raises(telegram.error.RetryAfter, match="17"):
            await bot.get_chat(7)
    stranger = telegram.Bot(f"{token}!", base_url=f"{sim.base_url}/bot")
    with pytest.raises(telegram.error.InvalidToken):
        await stranger.initialize()
    await stranger.shutdown()


async def test_aiogram_understands_every_answer(sim: SimClient, token: str) -> None:
    """Objects are parsed, and each refusal is the exception that Telegram's would be."""
    await sim.write("/start", user={"id": 7, "first_name": NAME})
    session = AiohttpSession(api=TelegramAPIServer.from_base(sim.base_url))
    async with aiogram.Bot(token, session=session) as bot:
        commands = [BotCommand(command="start", description="Begin")]
        assert await bot.set_my_commands(commands)
        assert [command.command for command in await bot.get_my_commands()] == ["start"]
        assert (await bot.get_chat(7)).first_name == NAME
        button = InlineKeyboardButton(text="Yes", callback_data="y")
        keyboard = InlineKeyboardMarkup(inline_keyboard=[[button]])
        sent = await bot.send_message(7, "<b>Sure?</b>", parse_mode="HTML", reply_markup=keyboard)
        assert sent.html_text == "<b>Sure?</b>"
        await sim.press(7, sent.message_id, "Yes")
        query = (await bot.get_updates(offset=-1))[0].callback_query
        assert query is not None
        assert query.data == "y"
        assert await bot.answer_callback_query(query.id, "Done")
        edited = await bot.edit_message_text("Done", chat_id=7, message_id=sent.message_id)
        assert isinstance(edited, Message)
        assert edited.text == "Done"
        assert await bot.send_chat_action(7, "typing")
        assert await bot.delete_message(7, sent.message_id)
        assert (await bot.get_webhook_info()).pending_update_count == 1
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await bot.send_message(8, "x")
        await sim.block(7)
        with pytest.raises(TelegramForbiddenError, match="blocked by the user"):
            await bot.send_message(7, "x")
        await sim.add_fault("flood", method="getChat", count=1, retry_after=17)
        with pytest.raises(TelegramRetryAfter, match="17"):
            await bot.get_chat(7)
        offset = (await bot.get_updates(offset=-1))[0].update_id + 1
        polls = [asyncio.create_task(bot.get_updates(offset, timeout=5)) for _ in range(2)]
        with pytest.raises(TelegramConflictError, match="terminated by other getUpdates"):
            await asyncio.gather(*polls)
        await sim.write("/end", user=9)
        await asyncio.wait(polls)
    other = aiogram.Bot(f"{token}x", session=session)
    with pytest.raises(TelegramUnauthorizedError):
        await other.get_me()
    await session.close()
