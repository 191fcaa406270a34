"""Whatever a handler is and does, an update that it failed on is kept and its sender told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import Update
from telegram.ext import CallbackQueryHandler, PollAnswerHandler, TypeHandler

from shared.generated.events import (
    NotConnectedError,
    TooLateError,
    broker,
    publish_telegram_update,
    telegram_update,
)
from shared.generated.schemas import TelegramUpdate
from shared.telegram import Bot, build_application
from shared.telegram.broker import close_broker, connect_broker, polling_lease
from shared.telegram.updates.dispatch import handle, handle_replayed_updates
from shared.telegram.updates.polling import Poller
from shared.telegram.updates.state import PollState
from tests.conditions import eventually
from tests.odd_telegram import OddTelegram
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import NOTICES, assemble, settings_for

KEPT, FAILED = NOTICES[""].kept, NOTICES[""].refused
ADA = {"id": 7, "is_bot": False, "first_name": "Ada"}
PRIVATE = {"id": 7, "type": "private", "first_name": "Ada"}
MESSAGE = {"message_id": 1, "date": 1, "chat": PRIVATE, "from": ADA, "text": "/help"}
PRESS = {"id": "31", "from": ADA, "chat_instance": "1", "data": "x"}


async def fail(update: Update, context: Any) -> None:
    """Do as a handler with a bug does."""
    raise RuntimeError("not this one")


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


@pytest.fixture
async def application(telegram: OddTelegram, redis_server: RedisServer) -> AsyncIterator[Bot[Any]]:
    """The bot's application, logged in and connected, without a loop that polls."""
    settings = settings_for(telegram.url, redis_server.url)
    await connect_broker(settings.redis_url, "a_bot")
    application = build_application("a_bot", settings)
    await application.initialize()
    async with assemble(application, settings):
        yield application
    await application.outbox.close(1)
    await application.shutdown()
    await close_broker()


def kept(server: RedisServer) -> list[str]:
    """Return the ids of the updates in the dead letters."""
    return [
        fields[b"event_id"].decode()
        for _, fields in server.client().xrange(telegram_update.dead_letters)
    ]


async def test_a_button_stops_to_spin_and_the_chat_is_told(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """Where the handler of a callback query raises, the query is answered too."""
    application.add_handler(CallbackQueryHandler(fail))
    await handle(application, {"update_id": 5, "callback_query": PRESS}, "42:5")
    assert kept(redis_server) == ["42:5"]
    (answered,) = telegram.called("answerCallbackQuery")
    assert (answered["callback_query_id"], answered["text"]) == ("31", KEPT)
    (notice,) = telegram.called("sendMessage")
    assert (notice["chat_id"], notice["text"]) == ("7", KEPT)


async def test_a_button_whose_query_cannot_be_parsed_stops_to_spin(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """Its id is all that it takes; the chat is that of the message with the button."""
    message = {"chat": {"id": -9}}
    odd = {"update_id": 5, "callback_query": {"id": "31", "message": message}}
    await handle(application, odd, "42:5")
    assert kept(redis_server) == ["42:5"]
    assert [call["callback_query_id"] for call in telegram.called("answerCallbackQuery")] == ["31"]
    assert [call["chat_id"] for call in telegram.called("sendMessage")] == ["-9"]


@pytest.mark.parametrize(
    "update",
    [
        {"message": MESSAGE},
        {"channel_post": MESSAGE},
        {"poll_answer": {"poll_id": "1", "user": ADA, "option_ids": [0]}},
    ],
    ids=["message", "channel post", "poll answer"],
)
async def test_a_handler_that_is_not_waited_for_is_all_the_same(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer, update: dict[str, Any]
) -> None:
    """`block=False`, a group of its own, any kind of update: what it raises is seen to."""
    application.add_handler(TypeHandler(Update, fail, block=False), group=1)
    application.add_handler(PollAnswerHandler(fail, block=False))
    await handle(application, {"update_id": 5, **update}, "42:5")
    assert kept(redis_server) == ["42:5"]
    assert KEPT in [call["text"] for call in telegram.called("sendMessage")]


async def test_an_update_that_comes_again_is_kept_once(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """Telegram repeats what a bot had not confirmed when it died."""
    application.add_handler(TypeHandler(Update, fail), group=-1)
    for _ in range(2):
        await handle(application, {"update_id": 5, "message": MESSAGE}, "42:5")
    assert kept(redis_server) == ["42:5"]


async def test_who_cannot_be_kept_is_not_told_so(
    application: Bot[Any],
    telegram: OddTelegram,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full Redis keeps the reason alone: the sender has to write again, and hears that."""
    monkeypatch.setattr("shared.streams.publish.room.PATIENCE", 0.3)
    application.add_handler(TypeHandler(Update, fail), group=-1)
    redis_server.client().config_set("maxmemory", 1)
    await handle(application, {"update_id": 1, "message": MESSAGE}, "42:1")
    assert kept(redis_server) == ["42:1"]
    assert [call["text"] for call in telegram.called("sendMessage")] == [FAILED]


async def test_a_bot_that_is_stopping_keeps_nothing(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """A broker that was closed is no fault of the update: it must not be confirmed."""
    await close_broker()
    command = {**MESSAGE, "text": "/command"}
    with pytest.raises(NotConnectedError):
        await handle(application, {"update_id": 5, "message": command}, "42:5")
    assert kept(redis_server) == []
    assert telegram.called("sendMessage") == []


async def test_a_batch_of_days_ago_is_fetched_again(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """Nobody knows whether it was published: not confirmed, not kept, and nobody is told a lie."""

    async def too_late(update: Update, context: Any) -> None:
        if update.update_id == 5:
            raise TooLateError("42:5")

    application.add_handler(TypeHandler(Update, too_late), group=-1)
    poller = Poller(application, application.bot.request, PollState(), await polling_lease(42))
    batch = [{"update_id": number, "message": MESSAGE} for number in (5, 6)]
    await poller._hand.take(poller._hand.window.take(batch, 0))
    await eventually(lambda: poller._hand.window.offset == 0)
    await poller._hand.take(poller._hand.window.take(batch[1:], 0))
    await eventually(lambda: poller._hand.window.offset == 7)
    assert kept(redis_server) == []
    assert KEPT not in [call["text"] for call in telegram.called("sendMessage")]


async def test_a_sender_whom_nobody_can_tell_holds_nothing_up(
    application: Bot[Any], telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """The update is kept and may be confirmed, though Telegram refuses the notice."""
    telegram.answer("sendMessage", (403, b'{"ok":false,"description":"Forbidden: blocked"}'))
    application.add_handler(TypeHandler(Update, fail), group=-1)
    await handle(application, {"update_id": 5, "message": MESSAGE}, "42:5")
    assert kept(redis_server) == ["42:5"]


async def test_another_bots_replayed_update_is_left_to_it(
    application: Bot[Any], telegram: OddTelegram
) -> None:
    """Two bots share the stream; each handles what was its own."""
    handle_replayed_updates(application)
    await broker.start_consumers()
    try:
        for number, event_id in ((5, "43:5"), (6, "42:6")):
            chat = {"id": number, "type": "private", "first_name": "Ada"}
            update = {"update_id": number, "message": {**MESSAGE, "chat": chat}}
            await publish_telegram_update(TelegramUpdate(update=update), event_id=event_id)
        await eventually(lambda: telegram.called("sendMessage"))
        assert [call["chat_id"] for call in telegram.called("sendMessage")] == ["6"]
    finally:
        await broker.stop_consumers()
        for consumer in broker.consumers:
            broker._subscribers.discard(consumer)
