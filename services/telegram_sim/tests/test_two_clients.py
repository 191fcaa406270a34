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
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.filters import Command
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    Message,
)
from telegram import Update
from telegram.ext import ApplicationBuilder, CommandHandler, ContextTypes

from telegram_sim.client import SimClient

NAME = "Ада 🚀"
PHOTO = bytes.fromhex(  # one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6300010000050001a5f645400000000049454e44ae426082"
)


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
        bare = await bot.edit_message_reply_markup(7, sent.message_id, reply_markup=keyboard)
        assert isinstance(bare, telegram.Message)
        assert bare.reply_markup == keyboard
        assert (await bot.get_chat_member(7, 7)).status == "member"
        assert await bot.send_chat_action(7, "typing")
        assert await bot.delete_message(7, sent.message_id)
        assert (await bot.get_webhook_info()).pending_update_count == 1
        with pytest.raises(telegram.error.NetworkError, match="does not simulate senddice"):
            await bot.send_dice(7)
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
        bare = await bot.edit_message_reply_markup(
            chat_id=7, message_id=sent.message_id, reply_markup=keyboard
        )
        assert isinstance(bare, Message)
        assert bare.reply_markup is not None
        assert bare.reply_markup.inline_keyboard[0][0].callback_data == "y"
        assert (await bot.get_chat_member(7, 7)).status == "member"
        assert await bot.send_chat_action(7, "typing")
        assert await bot.delete_message(7, sent.message_id)
        assert (await bot.get_webhook_info()).pending_update_count == 1
        with pytest.raises(TelegramServerError, match="does not simulate senddice"):
            await bot.send_dice(7)
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


async def test_python_telegram_bot_sends_edits_and_downloads_photos(
    sim: SimClient, token: str
) -> None:
    """Uploads are attached, a file_id is sent again, and the file comes back whole."""
    address = {"base_url": f"{sim.base_url}/bot", "base_file_url": f"{sim.base_url}/file/bot"}
    received = await sim.write("look", user={"id": 7, "first_name": NAME}, photo=PHOTO)
    async with telegram.Bot(token, **address) as bot:
        (update,) = await bot.get_updates()
        assert update.message is not None
        assert update.message.caption == received.raw["caption"]
        file = await update.message.photo[-1].get_file()
        assert bytes(await file.download_as_bytearray()) == PHOTO
        sent = await bot.send_photo(7, PHOTO, caption="<b>one</b>", parse_mode="HTML")
        assert sent.caption_html == "<b>one</b>"
        again = await bot.send_photo(7, sent.photo[-1].file_id)
        assert again.photo == sent.photo
        edited = await bot.edit_message_caption(7, sent.message_id, caption="two")
        assert isinstance(edited, telegram.Message)
        assert edited.caption == "two"
        media = telegram.InputMediaPhoto(PHOTO, caption="three")
        changed = await bot.edit_message_media(media, 7, sent.message_id)
        assert isinstance(changed, telegram.Message)
        assert changed.caption == "three"


async def test_aiogram_sends_edits_and_downloads_photos(sim: SimClient, token: str) -> None:
    """Uploads are attached, a file_id is sent again, and the file comes back whole."""
    received = await sim.write("look", user={"id": 7, "first_name": NAME}, photo=PHOTO)
    session = AiohttpSession(api=TelegramAPIServer.from_base(sim.base_url))
    async with aiogram.Bot(token, session=session) as bot:
        (update,) = await bot.get_updates()
        assert update.message is not None
        assert update.message.photo is not None
        assert update.message.caption == received.raw["caption"]
        content = await bot.download(update.message.photo[-1])
        assert content is not None
        assert content.read() == PHOTO
        upload = BufferedInputFile(PHOTO, "picture.png")
        sent = await bot.send_photo(7, upload, caption="<b>one</b>", parse_mode="HTML")
        assert sent.photo is not None
        assert (await bot.send_photo(7, sent.photo[-1].file_id)).photo == sent.photo
        number = sent.message_id
        edited = await bot.edit_message_caption(chat_id=7, message_id=number, caption="two")
        assert isinstance(edited, Message)
        assert edited.caption == "two"
        media = InputMediaPhoto(media=upload)
        changed = await bot.edit_message_media(media, chat_id=7, message_id=number)
        assert isinstance(changed, Message)
        assert changed.caption is None
