"""The five lines of AGENTS.md have the promise, in a handler of any kind of update."""

import asyncio
import json
import re
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telegram import Update
from telegram.ext import CallbackQueryHandler, MessageHandler, MessageReactionHandler
from telegram.ext.filters import UpdateType

from shared.generated.events import command_received, publish_command_received, telegram_update
from shared.generated.schemas import CommandReceived
from shared.telegram import Bot, Context, Notices, build_application
from shared.telegram.broker import close_broker, connect_broker
from shared.telegram.updates import watch
from shared.telegram.updates.dispatch import handle
from tests.conditions import eventually
from tests.odd_telegram import OddTelegram
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import settings_for

ROOT = Path(__file__).parents[3]
PAPERS = ("AGENTS.md", "services/tg_bot/AGENTS.md")
GERMAN = Notices(refused="Abgelehnt.", kept="Behalten.", delayed="Verspätet.")
ENGLISH = Notices()

ADA = {"id": 7, "is_bot": False, "first_name": "Ada", "language_code": "de-at"}
CHAT = {"id": 7, "type": "private", "first_name": "Ada"}
MESSAGE = {"message_id": 1, "date": 1_790_000_000, "chat": CHAT, "from": ADA, "text": "order"}
KINDS: dict[str, Any] = {
    "message": MESSAGE,
    "edited_message": {**MESSAGE, "edit_date": 1_790_000_001},
    "business_message": {**MESSAGE, "business_connection_id": "b"},
    "callback_query": {
        "id": "31",
        "from": ADA,
        "chat_instance": "1",
        "data": "x",
        "message": {**MESSAGE, "from": {"id": 42, "is_bot": True, "first_name": "Bot"}},
    },
}


def five_lines(paper: str) -> str:
    """Return the handler that a paper shows."""
    text = (ROOT / paper).read_text(encoding="utf-8")
    (block,) = (
        textwrap.dedent(block)
        for block in re.findall(r"^ *```python\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
        if "handle_order" in block
    )
    return block


def handler_of(paper: str) -> Any:
    """Return the handler that a paper shows, compiled as it stands there."""
    names: dict[str, Any] = {
        "Any": Any,
        "Context": Context,
        "Update": Update,
        "CommandReceived": CommandReceived,
        "publish_command_received": publish_command_received,
    }
    exec(compile(five_lines(paper), paper, "exec"), names)  # noqa: S102 — it is our own paper
    return names["handle_order"]


def register(bot: Bot[Any], handler: Any) -> None:
    """Have a handler handle every kind of update of these tests."""
    bot.add_handler(MessageHandler(UpdateType.MESSAGES | UpdateType.BUSINESS_MESSAGES, handler))
    bot.add_handler(CallbackQueryHandler(handler))


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


@pytest.fixture
async def bot(telegram: OddTelegram, redis_server: RedisServer) -> AsyncIterator[Bot[Any]]:
    """A bot without handlers, logged in and connected."""
    settings = settings_for(telegram.url, redis_server.url)
    await connect_broker(settings.redis_url, "a_bot")
    bot = build_application("a_bot", settings)
    bot.notices = {"": ENGLISH, "de": GERMAN}
    await bot.initialize()
    yield bot
    await bot.outbox.close(1)
    await bot.shutdown()
    await close_broker()


def events(server: RedisServer) -> list[str]:
    """Return the id of each event in the stream."""
    entries = server.client().xrange(command_received.name)
    return [json.loads(fields[b"__data__"])["id"] for _, fields in entries]


def letters(server: RedisServer, stream: str) -> list[str]:
    """Return the ids of a stream's dead letters."""
    return [fields[b"event_id"].decode() for _, fields in server.client().xrange(stream)]


def said(telegram: OddTelegram) -> list[str]:
    """Return what was written into chats."""
    return [call["text"] for call in telegram.called("sendMessage")]


def answered(telegram: OddTelegram) -> list[str]:
    """Return the texts with which queries were answered."""
    return [call["text"] for call in telegram.called("answerCallbackQuery")]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_papers_show_five_lines(paper: str) -> None:
    """The same ones."""
    assert len(five_lines(paper).splitlines()) == 5
    assert five_lines(paper) == five_lines(PAPERS[0])


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_update_that_comes_twice_is_one_event(
    bot: Bot[Any], telegram: OddTelegram, redis_server: RedisServer, kind: str, paper: str
) -> None:
    """Whatever its kind, it is in the stream once, under the id of the update."""
    register(bot, handler_of(paper))
    for _ in range(2):
        await handle(bot, {"update_id": 5, kind: KINDS[kind]}, "42:5")
    assert events(redis_server) == ["42:5"]
    await eventually(lambda: said(telegram) == ["Ordered!"] * 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_event_is_kept_and_told(
    bot: Bot[Any],
    telegram: OddTelegram,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """A full Redis takes the refusal alone; the sender hears of it in their own language."""
    monkeypatch.setattr("shared.streams.publish.room.PATIENCE", 0.3)
    register(bot, handler_of(PAPERS[0]))
    redis_server.client().config_set("maxmemory", 1)
    await handle(bot, {"update_id": 5, kind: KINDS[kind]}, "42:5")
    assert letters(redis_server, command_received.dead_letters) == ["42:5"]
    assert letters(redis_server, telegram_update.dead_letters) == []
    assert said(telegram) == [GERMAN.refused]
    assert answered(telegram) == [GERMAN.refused] * (kind == "callback_query")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_can_be_no_event_is_refused(
    bot: Bot[Any], telegram: OddTelegram, redis_server: RedisServer, kind: str
) -> None:
    """A handler that makes an event of what is none need not see to it."""

    async def misunderstand(update: Update, context: Any) -> None:
        CommandReceived.model_validate({"command": 7, "args": [], "user_id": "secret"})

    register(bot, misunderstand)
    await handle(bot, {"update_id": 5, kind: KINDS[kind]}, "42:5")
    ((_, letter),) = redis_server.client().xrange(command_received.dead_letters)
    assert letter[b"event_id"] == b"42:5"
    assert b"command: Input should be a valid string; user_id: " in letter[b"reason"]
    assert b"secret" not in letter[b"reason"]
    assert said(telegram) == [GERMAN.refused]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delay_is_told_once(
    bot: Bot[Any],
    telegram: OddTelegram,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """By the button that was pressed or in the chat; then the event is published."""
    monkeypatch.setattr(watch, "DELAY_NOTICE_AFTER", 0.3)
    register(bot, handler_of(PAPERS[0]))
    redis_server.kill()
    handling = asyncio.create_task(handle(bot, {"update_id": 5, kind: KINDS[kind]}, "42:5"))
    await eventually(lambda: said(telegram) + answered(telegram) == [GERMAN.delayed])
    await asyncio.sleep(1)
    assert not handling.done()
    redis_server.start()
    await asyncio.wait_for(handling, 20)
    assert events(redis_server) == ["42:5"]
    await eventually(lambda: "Ordered!" in said(telegram))
    assert (said(telegram) + answered(telegram)).count(GERMAN.delayed) == 1


@pytest.mark.parametrize("kind", [*KINDS, "message_reaction"])
async def test_what_a_handler_raises_is_kept_and_told(
    bot: Bot[Any], telegram: OddTelegram, redis_server: RedisServer, kind: str
) -> None:
    """The update is in the dead letters as it is; a button stops to spin."""

    async def fail(update: Update, context: Any) -> None:
        raise RuntimeError("on purpose")

    register(bot, fail)
    bot.add_handler(MessageReactionHandler(fail))
    reaction = {
        "chat": CHAT,
        "message_id": 1,
        "user": ADA,
        "date": 1_790_000_000,
        "old_reaction": [],
        "new_reaction": [],
    }
    update = {"update_id": 5, kind: KINDS.get(kind, reaction)}
    await handle(bot, update, "42:5")
    ((_, letter),) = redis_server.client().xrange(telegram_update.dead_letters)
    assert json.loads(letter[b"__data__"])["data"]["update"] == update
    assert letter[b"reason"] == b"RuntimeError: on purpose"
    assert said(telegram) == [GERMAN.kept]
    assert answered(telegram) == [GERMAN.kept] * (kind == "callback_query")


@pytest.mark.parametrize(
    ("code", "text"), [("de", "Behalten."), ("fr", ENGLISH.kept), (None, ENGLISH.kept)]
)
async def test_a_notice_is_in_the_senders_language(
    bot: Bot[Any], telegram: OddTelegram, code: str | None, text: str
) -> None:
    """In that which the bot has of it; else in the one for all others."""

    async def fail(update: Update, context: Any) -> None:
        raise RuntimeError("on purpose")

    register(bot, fail)
    sender = {**ADA, "language_code": code}
    await handle(bot, {"update_id": 5, "message": {**MESSAGE, "from": sender}}, "42:5")
    assert said(telegram) == [text]
