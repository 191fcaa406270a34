"""What happens to commands, and to health, while something the bot needs is away."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, get_status, health_of, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot


@pytest.fixture
async def running(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> AsyncIterator[Service]:
    """A healthy bot of this test alone, which polls."""
    with bot(redis_server.url, url_of(sim)) as service:
        await asyncio.to_thread(service.wait_for, health_of(service))
        await eventually(lambda: '"polling"' in service.log, seconds=90)
        yield service


def commands(server: RedisServer) -> list[str]:
    """Return the text of each command in the stream."""
    entries = server.client().xrange("command_received")
    return [json.loads(fields[b"__data__"])["data"]["command"] for _, fields in entries]


async def test_a_held_command_is_told_once_and_published_later(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """While Redis is away the sender hears once that it takes longer; then it is published."""
    redis_server.kill()
    written = await telegram.write("/command held", user=9)
    delayed = await telegram.wait_for_answer(9, after=written.message_id, timeout=90)
    assert "delayed" in delayed.text
    await eventually(lambda: get_health(running) == 503, seconds=90)
    redis_server.start()
    published = await telegram.wait_for_answer(9, after=delayed.message_id, timeout=90)
    assert published.text == "Command published!"
    assert commands(redis_server) == ["/command held"]
    await eventually(lambda: get_health(running) == 200, seconds=90)
    answers = [message for message in await telegram.messages(9) if message.from_bot]
    assert len(answers) == 2


async def test_everybody_in_hand_is_told_and_who_comes_later_is_served_later(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """All of a batch are told that it takes longer; Telegram shows no more before that is done."""
    redis_server.kill()
    await telegram.write_many("/command in hand {n}", count=30, users=30, first_user=9)
    for user in range(9, 39):
        assert "delayed" in (await telegram.wait_for_answer(user, timeout=90)).text
    later = await telegram.write("/command later", user=50)
    redis_server.start()
    answer = await telegram.wait_for_answer(50, after=later.message_id, timeout=90)
    assert answer.text == "Command published!"
    assert len(commands(redis_server)) == 31


async def test_a_bot_stopped_while_it_holds_a_command_loses_nothing(
    running: Service, telegram: SimClient, sim: Service, redis_server: RedisServer
) -> None:
    """What could not be published before the stop is not confirmed; the next bot publishes it."""
    redis_server.kill()
    written = await telegram.write("/command kept by Telegram", user=9)
    assert (
        "delayed" in (await telegram.wait_for_answer(9, after=written.message_id, timeout=90)).text
    )
    assert await asyncio.to_thread(running.terminate) == 0
    assert (await telegram.overview()).bot.pending == 1
    redis_server.start()
    with bot(redis_server.url, url_of(sim)):
        await eventually(lambda: len(commands(redis_server)) == 1, seconds=90)


async def test_health_turns_red_with_telegram_and_green_again(
    running: Service, sim: Service, telegram: SimClient
) -> None:
    """A bot that cannot fetch updates is not healthy, and is again when Telegram is back."""
    sim.kill()
    await eventually(lambda: get_health(running) == 503, seconds=120)
    sim.start()
    await eventually(lambda: get_health(running) == 200, seconds=120)


def get_health(service: Service) -> int | None:
    """Return the status of a bot's health."""
    return get_status(health_of(service))
