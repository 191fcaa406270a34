"""Two bots with one token: one polls, the other one stands by and takes over."""

import asyncio
import json
import urllib.request
from time import monotonic
from typing import Any

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot


def role(service: Service) -> str:
    """Return what a bot's health says of its role."""
    with urllib.request.urlopen(health_of(service), timeout=5) as response:  # noqa: S310 — http
        body: dict[str, Any] = json.load(response)
    return str(body["role"])


async def test_one_polls_and_the_other_stands_by(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """Both are healthy, Telegram sees one poller, and every command is published once."""
    with bot(redis_server.url, url_of(sim)) as first:
        await asyncio.to_thread(first.wait_for, health_of(first))
        await eventually(lambda: role(first) == "active")
        with bot(redis_server.url, url_of(sim)) as second:
            await asyncio.to_thread(second.wait_for, health_of(second))
            sent = await telegram.write_many("/command {n}", count=300, users=7)
            client = redis_server.client()
            await eventually(lambda: client.xlen("command_received") >= sent.updates)
            await asyncio.sleep(2)
            assert (role(first), role(second)) == ("active", "standby")
            assert client.xlen("command_received") == 300
            assert (await telegram.overview()).bot.overlaps == ()


async def test_sigterm_hands_over_within_a_second(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """The active bot gives the lease back, the standby polls at once; nothing is polled twice."""
    with bot(redis_server.url, url_of(sim)) as first:
        await eventually(lambda: "polling" in first.log)
        with bot(redis_server.url, url_of(sim)) as second:
            await eventually(lambda: "standing by" in second.log)
            assert await asyncio.to_thread(first.terminate) == 0
            began = monotonic()
            await eventually(lambda: '"polling"' in second.log, seconds=5)
            assert monotonic() - began < 2
            written = await telegram.write("/command after", user=1)
            answer = await telegram.wait_for_answer(1, after=written.message_id)
            assert answer.text == "Command published!"
            assert (await telegram.overview()).bot.overlaps == ()


async def test_a_killed_bot_is_followed_within_ten_seconds(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """The standby takes over when the lease of a bot that was killed ends."""
    with bot(redis_server.url, url_of(sim)) as first:
        await eventually(lambda: '"polling"' in first.log)
        with bot(redis_server.url, url_of(sim)) as second:
            await eventually(lambda: "standing by" in second.log)
            await telegram.write_many("/command {n}", count=200, users=7)
            first.kill()
            began = monotonic()
            await eventually(lambda: '"polling"' in second.log, seconds=15)
            assert monotonic() - began < 10
            client = redis_server.client()
            await eventually(lambda: client.xlen("command_received") == 200)
