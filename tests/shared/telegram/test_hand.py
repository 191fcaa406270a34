"""What a bot has in hand, without a loop that fetches: when it is confirmed, parked, given up."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic, time
from typing import Any

import pytest
from structlog.testing import capture_logs
from telegram import Update
from telegram.ext import TypeHandler

from shared.generated.events import NotConnectedError, TooLateError, telegram_update
from shared.metrics import catalogue
from shared.telegram import Bot, Notices, build_application
from shared.telegram.broker import close_broker, connect_broker
from shared.telegram.updates import hand as module
from shared.telegram.updates.hand import Hand
from shared.telegram.updates.parking import FRESH, Parked
from shared.telegram.updates.receipts import Receipts
from shared.telegram.updates.window import Window
from tests.odd_telegram import OddTelegram
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import settings_for

PARKED = "{telegram_update}:parked:42"
SOON = 15.0
"""Seconds within which anything here happens."""


class Handler:
    """What handles every update: it notes the id, waits for its gate, and raises what it has."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def __call__(self, update: Update, context: Any) -> None:
        self.begun.append(update.update_id)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)
            self.ended.append(update.update_id)


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


@pytest.fixture
async def handler() -> Handler:
    """The handler of every update."""
    return Handler()


@pytest.fixture
async def bot(
    telegram: OddTelegram, redis_server: RedisServer, handler: Handler
) -> AsyncIterator[Bot[Any]]:
    """A bot that is logged in and connected, and takes two messages a minute from one sender."""
    settings = settings_for(telegram.url, redis_server.url, messages_per_minute=2)
    await connect_broker(settings.redis_url, "a_bot")
    bot = build_application("a_bot", settings)
    bot.add_handler(TypeHandler(Update, handler))
    await bot.initialize()
    yield bot
    await bot.lanes.close()
    await bot.outbox.close(1)
    await bot.shutdown()
    await close_broker()


@pytest.fixture
async def hand(bot: Bot[Any]) -> Hand[Window]:
    """What it has in hand."""
    return Hand(bot, Window)


def update(number: int, user: int = 7) -> dict[str, Any]:
    """Return an update as Telegram writes it."""
    sender = {"id": user, "is_bot": False, "first_name": "Ada"}
    chat = {"id": user, "type": "private", "first_name": "Ada"}
    message = {"message_id": 1, "date": 1, "chat": chat, "from": sender, "text": "hello"}
    return {"update_id": number, "message": message}


async def take(hand: Hand[Window], *updates: dict[str, Any]) -> None:
    """Fetch updates."""
    await hand.take(hand.window.take(updates, hand.window.offset))


async def until(look: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SOON):
        while not look():
            await asyncio.sleep(0.005)


def park_for_another(server: RedisServer, *updates: dict[str, Any], ago: float = 0) -> None:
    """Leave updates in Redis, as a bot does that was killed."""
    for number, each in enumerate(updates):
        parked = Parked(each, time() - ago + number)
        server.client().hset(PARKED, str(each["update_id"]), parked.written())


async def test_an_update_may_be_confirmed_once_it_is_handled(
    hand: Hand[Window], handler: Handler, bot: Bot[Any]
) -> None:
    """Not before; and what happened to it is told to whoever asks."""
    handler.gate.clear()
    before = catalogue.UPDATES.series["fetched",]
    await take(hand, update(5))
    await until(lambda: handler.begun == [5])
    assert (hand.window.offset, hand.window.busy) == (5, True)
    assert (bot.moments.of("42:5") or {}).keys() == {"fetched"}
    handler.gate.set()
    assert await asyncio.wait_for(hand.drain(SOON), SOON)
    assert (hand.window.offset, hand.window.busy) == (6, False)
    assert (bot.moments.of("42:5") or {}).keys() == {"fetched", "handled"}
    assert catalogue.UPDATES.series["fetched",] == before + 1


async def test_what_is_over_the_quota_may_be_confirmed_and_is_told(
    hand: Hand[Window], handler: Handler, telegram: OddTelegram
) -> None:
    """It is handled by nobody, and takes no place in its sender's lane."""
    handler.gate.clear()
    await take(hand, *(update(number) for number in (5, 6, 7)))
    await until(lambda: telegram.called("sendMessage"))
    (notice,) = telegram.called("sendMessage")
    assert notice["text"] == Notices().too_much
    await until(lambda: hand.window.in_hand_for(0, 9).keys() == {5, 6})
    assert handler.begun == [5]
    handler.gate.set()
    assert await asyncio.wait_for(hand.drain(SOON), SOON)
    assert handler.begun == [5, 6]


async def test_a_stop_gives_up_what_is_not_finished_in_its_grace(
    hand: Hand[Window], handler: Handler
) -> None:
    """It has ended then, so that nothing of it happens beside the next holder of the lease."""
    handler.gate.clear()
    await take(hand, update(5))
    await until(lambda: handler.begun == [5])
    began = monotonic()
    assert not await asyncio.wait_for(hand.drain(0.2), SOON)
    assert monotonic() - began >= 0.2
    assert handler.ended == [5]
    assert hand.window.offset == 5


async def test_a_stop_waits_for_what_is_parked_as_well(
    hand: Hand[Window], handler: Handler, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is confirmed already; finished now, nobody has to do it again."""
    monkeypatch.setattr(module, "PARK_AFTER", 0.0)
    handler.gate.clear()
    await take(hand, update(5))
    await hand.park()
    assert (hand.window.offset, hand.window.busy) == (6, False)
    assert redis_server.client().hkeys(PARKED) == [b"5"]
    stopping = asyncio.create_task(hand.drain(SOON))
    await asyncio.sleep(0.02)
    assert not stopping.done()
    handler.gate.set()
    assert await asyncio.wait_for(stopping, SOON)
    assert redis_server.client().hkeys(PARKED) == []


async def test_what_is_not_slow_is_not_parked(
    hand: Hand[Window], handler: Handler, redis_server: RedisServer
) -> None:
    """A write to Redis for each update would cost more than it saves."""
    handler.gate.clear()
    await take(hand, update(5))
    await hand.park()
    assert (hand.window.offset, redis_server.client().hlen(PARKED)) == (5, 0)


async def test_parking_is_tried_again_after_a_while(
    hand: Hand[Window], handler: Handler, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is away costs each try some seconds, in which nothing is fetched."""
    monkeypatch.setattr(module, "PARK_AFTER", 0.0)
    monkeypatch.setattr(module, "PARK_AGAIN_AFTER", 60.0)
    handler.gate.clear()
    await take(hand, update(5))
    redis_server.kill()
    await hand.park()
    redis_server.start()
    await hand.park()
    assert (hand.window.offset, redis_server.client().hlen(PARKED)) == (5, 0)
    later = monotonic() + 60
    monkeypatch.setattr(module, "monotonic", lambda: later)
    await hand.park()
    assert (hand.window.offset, redis_server.client().hkeys(PARKED)) == (6, [b"5"])


async def test_what_others_have_parked_is_handled_once_in_a_term(
    bot: Bot[Any], handler: Handler, redis_server: RedisServer
) -> None:
    """In the order in which it was written; a webhook that brings it again is answered at once."""
    hand = Hand(bot, Receipts)
    park_for_another(redis_server, update(9), update(5))
    handler.gate.clear()
    with capture_logs() as lines:
        await hand.resume()
        assert list(hand.window.take(update(5))) == []
        handler.gate.set()
        assert await asyncio.wait_for(hand.drain(SOON), SOON)
        assert (handler.begun, redis_server.client().hlen(PARKED)) == ([9, 5], 0)
        park_for_another(redis_server, update(6, user=8))
        await hand.resume()
        assert await asyncio.wait_for(hand.drain(0.1), SOON)
        assert handler.begun == [9, 5]
        hand.renew()
        await hand.resume()
        await until(lambda: handler.ended == [9, 5, 6])
        assert await asyncio.wait_for(hand.drain(SOON), SOON)
        hand.renew()
        await hand.resume()
    counts = [line["count"] for line in lines if line["event"] == "parked updates taken over"]
    assert counts == [2, 1]


async def test_what_was_parked_a_day_ago_is_buried(
    hand: Hand[Window], handler: Handler, telegram: OddTelegram, redis_server: RedisServer
) -> None:
    """It is no handler's any more; its sender is told."""
    park_for_another(redis_server, update(5), ago=FRESH + 60)
    await hand.resume()
    assert await asyncio.wait_for(hand.drain(SOON), SOON)
    assert (handler.begun, redis_server.client().hlen(PARKED)) == ([], 0)
    ((_, letter),) = redis_server.client().xrange(telegram_update.dead_letters)
    assert letter[b"reason"].startswith(b"it was parked for a day")
    assert [call["text"] for call in telegram.called("sendMessage")] == [Notices().kept]


async def test_what_may_have_been_published_is_fetched_again(
    hand: Hand[Window], handler: Handler
) -> None:
    """All that is in hand is forgotten, once; what comes of it later is of no term any more."""
    handler.gate.clear()
    window, handler.error = hand.window, TooLateError("a day has passed")
    await take(hand, update(5), update(6, user=8))
    await until(lambda: handler.begun == [5, 6])
    handler.gate.set()
    await until(lambda: hand.window is not window)
    after = hand.window
    await until(lambda: handler.ended == [5, 6])
    await asyncio.sleep(0.02)
    assert hand.window is after
    assert (after.offset, after.busy, window.offset) == (0, False, 5)


async def test_what_is_parked_and_may_have_been_published_is_buried(
    hand: Hand[Window], handler: Handler, redis_server: RedisServer
) -> None:
    """Telegram would not repeat it; the window goes on."""
    window, handler.error = hand.window, TooLateError("a day has passed")
    park_for_another(redis_server, update(5))
    await hand.resume()
    assert await asyncio.wait_for(hand.drain(SOON), SOON)
    assert hand.window is window
    assert redis_server.client().xlen(telegram_update.dead_letters) == 1


async def test_a_new_term_answers_nobody_of_the_one_before(bot: Bot[Any]) -> None:
    """Whoever waits for an update that was brought is told to come again."""
    hand = Hand(bot, Receipts)
    assert list(hand.window.take(update(5)))
    waiting = asyncio.create_task(hand.window.finished(5))
    await asyncio.sleep(0)
    hand.renew()
    assert not await asyncio.wait_for(waiting, SOON)


@pytest.mark.parametrize("work", ["handled", "turned away", "buried"])
async def test_what_no_update_is_to_blame_for_ends_the_loop(
    hand: Hand[Window], bot: Bot[Any], redis_server: RedisServer, work: str
) -> None:
    """Nothing is confirmed, a stop waits for nothing, and whoever looks is raised the error."""
    hand.raise_if_broken()
    if work == "turned away":
        bot.notices = None  # type: ignore[assignment]  # a fault of the bot's own
        await take(hand, *(update(number) for number in (5, 6, 7, 8)))
        await until(lambda: not hand.window.busy or hand.broken.done())
        expected: type[Exception] = TypeError
    elif work == "buried":
        park_for_another(redis_server, update(5), ago=FRESH + 60)
        bot.notices = None  # type: ignore[assignment]  # as above
        await hand.resume()
        expected = TypeError
    else:
        bot.handlers.clear()

        async def publish(update: Update, context: Any) -> None:
            raise NotConnectedError("the broker is closed")

        bot.add_handler(TypeHandler(Update, publish))
        await take(hand, update(5), update(6, user=8))
        expected = NotConnectedError
    await until(hand.broken.done)
    with pytest.raises(expected):
        hand.raise_if_broken()
    began = monotonic()
    with pytest.raises(expected):
        await asyncio.wait_for(hand.drain(SOON), SOON)
    assert monotonic() - began < SOON / 2
