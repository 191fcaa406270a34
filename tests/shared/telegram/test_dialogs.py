"""A dialog goes on where it stood, in whichever bot, and an update is one step of it at most."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from telegram import Update
from telegram.ext import CommandHandler, ConversationHandler, MessageHandler, TypeHandler

from shared.generated.events import command_received, publish_command_received, telegram_update
from shared.process import SetupError
from shared.telegram import Bot, build_application
from shared.telegram.broker import close_broker, connect_broker
from shared.telegram.updates.dispatch import _attempt, handle
from tests.odd_telegram import OddTelegram
from tests.servers import RedisServer
from tests.shared.telegram import dialog_bot
from tests.shared.telegram.a_bot import settings_for

WORDS = ["tea", "large", "green", "two", "here"]
TEXTS = ["/order", *WORDS]


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


NOWHERE = "redis://127.0.0.1:1"
"""What the settings name; the broker is connected before."""


@asynccontextmanager
async def made(telegram: OddTelegram) -> AsyncIterator[Bot[Any]]:
    """A bot that is logged in, as another process would have it."""
    settings = settings_for(telegram.url, NOWHERE)
    bot = build_application("dialog_bot", settings)
    async with dialog_bot.assemble(bot, settings):
        bot.dialogs.check()
        await bot.initialize()
        yield bot
        await bot.outbox.close(1)
        await bot.shutdown()


@pytest.fixture
async def bots(telegram: OddTelegram, redis_server: RedisServer) -> AsyncIterator[list[Bot[Any]]]:
    """Two bots with one token, on one Redis."""
    await connect_broker(redis_server.url, "dialog_bot")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(made(telegram)) for _ in range(2)]
    await close_broker()


def update(update_id: int, text: str, user: int = 7, chat: int | None = None) -> dict[str, Any]:
    """Return a message of a user."""
    place = {"id": chat or user, "type": "private" if chat is None else "group", "title": "t"}
    sender = {"id": user, "is_bot": False, "first_name": "Ada"}
    message = {"message_id": 1, "date": 1_790_000_000, "chat": place, "from": sender, "text": text}
    return {"update_id": update_id, "message": message}


async def give(bot: Bot[Any], update_id: int, text: str, **whose: int) -> None:
    """Let a bot have a message."""
    await handle(bot, update(update_id, text, **whose), f"42:{update_id}")


def commands(server: RedisServer) -> list[tuple[str, list[str]]]:
    """Return the command and the arguments of each event in the stream."""
    entries = server.client().xrange(command_received.name)
    events = [json.loads(fields[b"__data__"])["data"] for _, fields in entries]
    return [(event["command"], event["args"]) for event in events]


STEPS = [(f"/step {count}", WORDS[:count]) for count in range(5)]
WHOLE = [*STEPS, ("/ordered", WORDS)]


async def test_it_goes_on_in_another_bot(bots: list[Bot[Any]], redis_server: RedisServer) -> None:
    """Each step is taken by the bot that has not taken the one before it; nothing stays in them."""
    for number, text in enumerate(TEXTS):
        await give(bots[number % 2], number, text)
    assert commands(redis_server) == WHOLE
    for bot in bots:
        assert dict(bot.user_data) == {}


async def test_an_update_that_comes_again_is_no_step(
    bots: list[Bot[Any]], redis_server: RedisServer
) -> None:
    """Neither in the bot that had it nor in the other one, at once or after all the others."""
    for number, text in enumerate(TEXTS):
        for bot in (*bots, *bots):
            await give(bot, number, text)
        for before, earlier in enumerate(TEXTS[:number]):
            await give(bots[0], before, earlier)
    assert commands(redis_server) == WHOLE


async def test_what_meant_nothing_in_its_time_answers_nothing_later(
    bots: list[Bot[Any]], redis_server: RedisServer
) -> None:
    """Before the dialog, or refused by it, or raised at: repeated, it is no answer."""
    early = [(0, "hello"), (1, "/order"), (2, dialog_bot.BAD), (3, dialog_bot.FAILING), (4, "tea")]
    for number, text in early:
        await give(bots[0], number, text)
    steps = commands(redis_server)
    assert steps == STEPS[:2]
    for number, text in early:
        await give(bots[1], number, text)
    assert commands(redis_server) == steps
    letters = redis_server.client().xrange(telegram_update.dead_letters)
    assert [fields[b"event_id"] for _, fields in letters] == [b"42:3"]


async def test_what_was_raised_at_can_be_replayed_once(
    bots: list[Bot[Any]], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mended handler takes it for the answer to what is asked at that time."""
    await give(bots[0], 0, "/order")
    await give(bots[0], 1, dialog_bot.FAILING)
    monkeypatch.setattr(dialog_bot, "FAILING", "never")
    for bot in bots:
        await _attempt(bot, update(1, "fail"), "42:1", again=True)
    assert commands(redis_server) == [STEPS[0], ("/step 1", ["fail"])]


async def test_a_bot_that_was_frozen_takes_no_step_that_another_has_taken(
    bots: list[Bot[Any]], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up in the middle of a handler, when the dialog is further on; so it stays there."""
    await give(bots[0], 0, "/order")
    frozen, woken = asyncio.Event(), asyncio.Event()
    publish = publish_command_received

    async def freeze(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(dialog_bot, "publish_command_received", publish)
        frozen.set()
        await woken.wait()
        return await publish(*args, **named)

    monkeypatch.setattr(dialog_bot, "publish_command_received", freeze)
    late = asyncio.create_task(give(bots[0], 1, "tea"))
    await frozen.wait()
    await give(bots[1], 1, "tea")
    await give(bots[1], 2, "large")
    woken.set()
    await asyncio.wait_for(late, 10)
    await give(bots[0], 3, "green")
    assert commands(redis_server) == STEPS[:4]


async def test_a_step_from_where_nobody_stands_any_more_is_taken_anew(
    bots: list[Bot[Any]], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another update has had a step while this one was handled: it is handled once more."""
    await give(bots[0], 0, "/order")
    publish = publish_command_received

    async def overtaken(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(dialog_bot, "publish_command_received", publish)
        await give(bots[1], 1, "tea")
        return await publish(*args, **named)

    monkeypatch.setattr(dialog_bot, "publish_command_received", overtaken)
    await give(bots[0], 2, "large")
    await give(bots[0], 3, "green")
    assert commands(redis_server)[-1] == ("/step 3", WORDS[:3])


async def test_users_and_chats_have_dialogs_of_their_own(
    bots: list[Bot[Any]], redis_server: RedisServer
) -> None:
    """Another user's, and the same user's in a group, stand where they stood."""
    await give(bots[0], 0, "/order", user=7)
    await give(bots[1], 1, "/order", user=8)
    await give(bots[0], 2, "tea", user=7)
    await give(bots[1], 3, "hello", user=7, chat=-5)
    await give(bots[1], 4, "milk", user=8)
    assert commands(redis_server)[2:] == [("/step 1", ["tea"]), ("/step 1", ["milk"])]


async def test_what_json_does_not_hold_is_kept_and_told(
    bots: list[Bot[Any]], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """The dialog stays where it was."""

    async def keep_a_set(update: Any, context: Any) -> None:
        context.user_data["seen"] = {1}

    bots[0].add_handler(MessageHandler(None, keep_a_set), group=1)
    await give(bots[0], 0, "/order")
    ((_, letter),) = redis_server.client().xrange(telegram_update.dead_letters)
    assert letter[b"reason"].startswith(b"UnstorableError: user_data holds something")
    await give(bots[1], 1, "tea")
    assert commands(redis_server) == [STEPS[0]]


async def test_a_full_redis_loses_no_step(
    bots: list[Bot[Any]], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is not taken and its sender told; the next answer is taken for the same question."""
    client = redis_server.client()
    await give(bots[0], 0, "/order")

    async def fill(*args: Any, **named: Any) -> Any:
        publication = await publish_command_received(*args, **named)
        client.config_set("maxmemory", 1)
        return publication

    monkeypatch.setattr(dialog_bot, "publish_command_received", fill)
    await give(bots[0], 1, "tea")
    monkeypatch.setattr(dialog_bot, "publish_command_received", publish_command_received)
    client.config_set("maxmemory", 0)
    letters = client.xrange(telegram_update.dead_letters)
    assert [fields[b"event_id"] for _, fields in letters] == [b"42:1"]
    await give(bots[1], 1, "tea")
    await give(bots[1], 2, "milk")
    assert commands(redis_server)[-1] == ("/step 1", ["milk"])


async def test_a_dialog_that_cannot_be_kept_is_an_error_at_the_start() -> None:
    """For a whole chat, without persistence, with a timeout, with handlers nobody waits for."""

    async def ignore(update: Any, context: Any) -> None:
        """Handle nothing."""

    begins: Any = CommandHandler("a", ignore)
    unwaited: Any = CommandHandler("a", ignore, block=False)
    shared_one: Any = ConversationHandler(
        [begins], {}, [], per_user=False, name="a", persistent=True
    )
    no_wait: Any = ConversationHandler([unwaited], {}, [], name="b", persistent=True)
    begun: list[Any] = [begins]
    forgotten: Any = ConversationHandler(begun, {}, [])
    timed: Any = ConversationHandler(
        begun, {}, [], name="c", persistent=True, conversation_timeout=9
    )
    for dialog, fault in (
        (shared_one, "the dialog a is kept for each user: per_user=True"),
        (no_wait, "the dialog b has a handler with block=False"),
        (forgotten, "the dialog CommandHandler is not kept: give it a name and persistent=True"),
        (timed, "the dialog c has a conversation_timeout"),
    ):
        bot = build_application("dialog_bot", settings_for("http://127.0.0.1:1", NOWHERE))
        bot.add_handler(dialog)
        with pytest.raises(SetupError, match=fault):
            bot.dialogs.check()


async def test_what_would_not_be_kept_cannot_be_used(
    telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """`chat_data`, and `user_data` of a bot without dialogs: the update is kept, with a reason."""

    async def use(update: Any, context: Any) -> None:
        getattr(context, update.message.text)["seen"] = 1

    await connect_broker(redis_server.url, "dialog_bot")
    bot = build_application("dialog_bot", settings_for(telegram.url, NOWHERE))
    await bot.initialize()
    bot.add_handler(TypeHandler(Update, use))
    for number, name in enumerate(("user_data", "chat_data")):
        await give(bot, number, name)
    letters = redis_server.client().xrange(telegram_update.dead_letters)
    reasons = [fields[b"reason"].decode() for _, fields in letters]
    await bot.shutdown()
    await close_broker()
    assert all(reason.startswith("RuntimeError: ") for reason in reasons)
    assert len(reasons) == 2
