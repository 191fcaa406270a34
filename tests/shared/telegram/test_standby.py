"""Two bots with one token: one polls, the other one stands by and takes over."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from time import monotonic
from typing import Any

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot

LOSSES = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}
"""How a bot is lost."""


def role(service: Service) -> str:
    """Return what a bot's health says of its role, whether it is healthy or not."""
    try:
        with urllib.request.urlopen(health_of(service), timeout=5) as response:  # noqa: S310 — http
            body: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        body = json.load(error)
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


@pytest.mark.parametrize("how", LOSSES, ids=LOSSES)
async def test_a_lost_bot_is_followed_within_ten_seconds(
    how: str, redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """The standby takes over when the lease ends of a bot that was killed, or stands still.

    One that goes on later stands by: what it had in hand is in the stream once.
    """
    with bot(redis_server.url, url_of(sim)) as first:
        await eventually(lambda: '"polling"' in first.log)
        with bot(redis_server.url, url_of(sim)) as second:
            await eventually(lambda: "standing by" in second.log)
            await telegram.write_many("/command {n}", count=200, users=7)
            os.kill(first.pid, LOSSES[how])
            began = monotonic()
            await eventually(lambda: '"polling"' in second.log, seconds=15)
            assert monotonic() - began < 10
            client = redis_server.client()
            await eventually(lambda: client.xlen("command_received") >= 200)
            if how == "frozen":
                os.kill(first.pid, signal.SIGCONT)
                await eventually(lambda: role(first) == "standby")
                written = await telegram.write("/command after", user=1)
                await telegram.wait_for_answer(1, after=written.message_id)
            assert role(second) == "active"
            ids = [json.loads(f[b"__data__"])["id"] for _, f in client.xrange("command_received")]
            assert len(ids) == len(set(ids)) == 200 + (how == "frozen")
