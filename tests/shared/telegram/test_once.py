"""A worker replies by an event: the bot that subscribes to it sends, once for each event."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.generated.events import (
    Delivery,
    TryLaterError,
    broker,
    command_received,
    publish_command_received,
)
from shared.generated.schemas import CommandReceived
from shared.telegram import Bot, build_application
from shared.telegram.broker import close_broker, connect_broker
from shared.telegram.replies import outbox as outbox_module
from shared.telegram.replies import sending
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.odd_telegram import OddTelegram
from tests.processes import Service, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import settings_for
from tests.shared.telegram.reply_bot import bot as reply_bot

SUMMARY = CommandReceived(command="Your day", args=[], user_id=7, timestamp=datetime.now(UTC))


@pytest.fixture
async def telegram_that_fails() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


@pytest.fixture
async def bot(
    telegram_that_fails: OddTelegram, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bot[Any]]:
    """A bot that is logged in and impatient."""
    monkeypatch.setattr(sending, "FIRST_BACKOFF", 0.01)
    settings = settings_for(telegram_that_fails.url, redis_server.url)
    await connect_broker(settings.redis_url, "reply_bot")
    bot = build_application("reply_bot", settings)
    await bot.initialize()
    yield bot
    await bot.outbox.close(1)
    await bot.shutdown()
    await close_broker()


def delivery(event_id: str, source: str = "/worker") -> Delivery:
    """Return a delivery of an event."""
    return Delivery(event_id=event_id, stream="a", source=source, entry_id="1-0", attempt=1)


async def test_an_event_that_is_delivered_again_is_sent_once(
    bot: Bot[Any], telegram_that_fails: OddTelegram
) -> None:
    """The same id of another source, and another id, are other events."""
    for _ in range(3):
        assert await bot.send_once(delivery("a"), 7, "one")
    assert await bot.send_once(delivery("a", "/other"), 7, "two")
    assert await bot.send_once(delivery("b"), 7, "three")
    sent = [call["text"] for call in telegram_that_fails.called("sendMessage")]
    assert sent == ["one", "two", "three"]


async def test_what_telegram_never_takes_is_not_tried_for_ever(
    bot: Bot[Any], telegram_that_fails: OddTelegram
) -> None:
    """Somebody who has blocked the bot is not written to again, and nothing is raised."""
    blocked = (403, b'{"ok":false,"description":"Forbidden: bot was blocked by the user"}')
    telegram_that_fails.answer("sendMessage", blocked)
    assert not await bot.send_once(delivery("a"), 7, "one")


async def test_what_telegram_does_not_take_now_is_tried_later(
    bot: Bot[Any], telegram_that_fails: OddTelegram
) -> None:
    """The event stays with the group, and is sent when it is delivered again."""
    down = [(502, b"<html>")] * outbox_module.ATTEMPTS
    telegram_that_fails.answer("sendMessage", *down)
    with pytest.raises(TryLaterError):
        await bot.send_once(delivery("a"), 7, "one")
    assert await bot.send_once(delivery("a"), 7, "one")


async def test_a_scheduled_message_is_one_event_for_a_day_and_a_user(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """Whoever publishes it, and however often, it is sent once: its id names both."""
    await broker.connect(redis_server.url, source="/summaries")
    await broker.wait_until_writable(command_received)
    with reply_bot(redis_server.url, url_of(sim)) as running:
        await telegram.write("/start", user=7)
        for _ in range(3):
            await publish_command_received(SUMMARY, event_id="summary:2026-11-29:7")
        assert (await telegram.wait_for_answer(7, timeout=30)).text == "Your day"
        client = redis_server.client()
        await eventually(lambda: client.xpending("command_received", "reply_bot")["pending"] == 0)
        await asyncio.to_thread(running.kill)
        running.start()
        await publish_command_received(SUMMARY, event_id="summary:2026-11-29:7")
        await publish_command_received(SUMMARY, event_id="summary:2026-11-30:7")
        async with asyncio.timeout(30):
            while len([m for m in await telegram.messages(7) if m.from_bot]) < 2:
                await asyncio.sleep(0.1)
        assert [m.text for m in await telegram.messages(7) if m.from_bot] == ["Your day"] * 2
    await broker.close()
