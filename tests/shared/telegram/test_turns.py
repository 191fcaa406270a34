"""Whatever is sent or edited has its turn, within the limits, and again where that helps."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from telegram.error import BadRequest

from shared.telegram import Bot, build_application
from shared.telegram.replies import outbox as outbox_module
from shared.telegram.replies import sending
from shared.telegram.replies.limits import Limits
from tests.odd_telegram import OddTelegram, as_body
from tests.shared.telegram.a_bot import settings_for

CHAT = {"id": 7, "type": "private", "first_name": "Ada"}
SENT = as_body({"message_id": 3, "date": 1, "chat": CHAT, "text": "sent"})
FLOOD = (429, b'{"ok":false,"error_code":429,"parameters":{"retry_after":1}}')
NOT_SIMULATED = (501, b'{"ok":false,"error_code":501,"description":"Not Implemented"}')
SENDING = ("sendMessage", "sendPhoto", "editMessageText", "answerCallbackQuery")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of seconds where the bot would wait for half a second."""
    monkeypatch.setattr(sending, "FIRST_BACKOFF", 0.01)
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


@pytest.fixture
async def bot(telegram: OddTelegram) -> AsyncIterator[Bot[Any]]:
    """A bot that is logged in."""
    settings = settings_for(telegram.url, "redis://127.0.0.1:1")
    bot = build_application("a_bot", settings)
    await bot.initialize()
    yield bot
    await bot.outbox.close(0)
    await bot.shutdown()


def asked(telegram: OddTelegram) -> list[str]:
    """Return which methods that send something were called, in their order."""
    return [method for method, _ in telegram.calls if method in SENDING]


def message_of(bot: Bot[Any]) -> Message:
    """Return a message in the chat."""
    message = Message.de_json({"message_id": 1, "date": 1, "chat": CHAT, "text": "hi"}, bot.bot)
    assert message is not None
    return message


async def test_all_that_a_chat_is_sent_keeps_its_order(
    bot: Bot[Any], telegram: OddTelegram
) -> None:
    """In the background or waited for, a text with buttons, a photo, an edit."""
    message = message_of(bot)
    telegram.answer("sendPhoto", SENT)
    telegram.answer("editMessageText", SENT)
    telegram.answer("sendMessage", FLOOD)
    buttons = InlineKeyboardMarkup([[InlineKeyboardButton("Buy", callback_data="buy")]])
    bot.outbox.send(7, "one", reply_markup=buttons)
    bot.outbox.call(7, message.reply_photo, b"a picture")
    bot.outbox.call(7, message.edit_text, "three")
    last = await message.reply_text("four")
    assert last.text == "sent"
    expected = ["sendMessage", "sendMessage", "sendPhoto", "editMessageText", "sendMessage"]
    assert asked(telegram) == expected
    assert "callback_data" in telegram.called("sendMessage")[0]["reply_markup"]


async def test_an_answer_to_a_button_waits_for_no_chat(
    bot: Bot[Any], telegram: OddTelegram
) -> None:
    """It belongs to none, and is tried again like the others."""
    query = CallbackQuery.de_json(
        {"id": "31", "from": {**CHAT, "is_bot": False}, "chat_instance": "1"}, bot.bot
    )
    assert query is not None
    telegram.answer("answerCallbackQuery", FLOOD)
    assert await bot.outbox.call(None, query.answer, "Done")
    assert [call["text"] for call in telegram.called("answerCallbackQuery")] == ["Done"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        NOT_SIMULATED,
        (400, b'{"ok":false,"error_code":400,"description":"Bad Request: no"}'),
        (403, b'{"ok":false,"error_code":403,"description":"Forbidden: blocked"}'),
        (404, b'{"ok":false,"error_code":404,"description":"Not Found"}'),
        (413, b'{"ok":false,"error_code":413,"description":"Request Entity Too Large"}'),
    ],
    ids=lambda answer: str(answer[0]),
)
async def test_a_final_answer_is_final(
    bot: Bot[Any], telegram: OddTelegram, answer: tuple[int, bytes]
) -> None:
    """It is asked once, and what waits behind it is sent."""
    telegram.answer("sendPhoto", answer)
    refused = bot.outbox.call(7, bot.bot.send_photo, 7, b"a picture")
    assert await bot.outbox.send(7, "next")
    assert not await refused
    assert asked(telegram) == ["sendPhoto", "sendMessage"]


async def test_who_waits_sees_what_python_telegram_bot_would_raise(
    bot: Bot[Any], telegram: OddTelegram
) -> None:
    """A refusal is a BadRequest of Telegram's own words."""
    telegram.answer("sendMessage", (400, b'{"ok":false,"description":"Bad Request: no"}'))
    with pytest.raises(BadRequest, match="No"):
        await message_of(bot).reply_text("one")


async def test_a_fault_that_passes_is_tried_again(bot: Bot[Any], telegram: OddTelegram) -> None:
    """A gateway that fails, and a server that fails in another way."""
    telegram.answer("editMessageText", (502, b"<html>"), (500, b'{"ok":false}'), SENT)
    assert await bot.outbox.call(7, message_of(bot).edit_text, "new")
    assert asked(telegram) == ["editMessageText"] * 3


async def test_a_chat_that_has_too_much_waiting_raises(
    bot: Bot[Any], telegram: OddTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a turn that never comes is told at once."""
    monkeypatch.setattr(outbox_module, "CHAT_CAPACITY", 1)
    bot.outbox.send(7, "one")
    with pytest.raises(Exception, match="too many requests wait"):
        await message_of(bot).reply_text("two")


async def test_a_group_is_sent_twenty_messages_a_minute() -> None:
    """A channel by its name too; a person three at once, then one a second."""
    limits = Limits()
    for chat, most in ((-5, 20), ("@news", 20), (7, 3)):
        limiter = limits.of_chat(chat)
        assert limiter is not None
        assert (limiter.has_capacity(most), limiter.has_capacity(most + 1)) == (True, False)
        await asyncio.wait_for(limiter.acquire(most), 1)


async def test_what_a_sender_has_to_know_needs_no_turn(
    bot: Bot[Any], telegram: OddTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat has as much waiting as it may: the notice is sent all the same, and before it."""
    monkeypatch.setattr(outbox_module, "CHAT_CAPACITY", 1)
    telegram.answer("sendPhoto", FLOOD, SENT)
    photo = bot.outbox.call(7, message_of(bot).reply_photo, b"a picture")
    assert await bot.outbox.tell(7, "refused")
    assert not photo.done()
    assert await photo


async def test_a_stop_waits_for_what_belongs_to_no_chat(
    bot: Bot[Any], telegram: OddTelegram
) -> None:
    """An answer to a button is given before the outbox is closed."""
    answered = bot.outbox.call(None, bot.bot.answer_callback_query, "31")
    await bot.outbox.close(10)
    assert answered.done()
    assert telegram.called("answerCallbackQuery")
