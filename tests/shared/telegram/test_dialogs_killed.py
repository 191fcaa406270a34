"""Dialogs of five questions under SIGKILL, SIGSTOP and takeover: every one complete, once."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, simulator, url_of
from tests.servers import RedisServer, free_port
from tests.shared.telegram.brought import bring_to
from tests.shared.telegram.dialog_bot import QUESTIONS, bot

USERS = range(100, 140)
KILLS = 5
FEW = 6
"""Steps of some dialogs that are taken before the bot that takes them is killed."""


@pytest.fixture
def sim() -> Iterator[Service]:
    """A simulator that lets a chat have as many answers as it is sent."""
    with simulator(limits=False) as sim:
        yield sim


def words(user: int) -> list[str]:
    """Return what a user answers, unlike anybody else."""
    return [f"{user}-{number}" for number in range(len(QUESTIONS))]


def dialogs_of(users: Sequence[int]) -> list[dict[str, Any]]:
    """Return what users write in their dialogs, one word of everybody at a time."""
    texts = {user: ["/order", *words(user)] for user in users}
    return [
        {"user": user, "text": texts[user][step]}
        for step in range(len(QUESTIONS) + 1)
        for user in users
    ]


def events(server: RedisServer) -> list[tuple[int, str, list[str]]]:
    """Return user, command and arguments of each event in the stream."""
    entries = server.client().xrange("command_received")
    data = [json.loads(fields[b"__data__"])["data"] for _, fields in entries]
    return [(event["user_id"], event["command"], event["args"]) for event in data]


def more_than(server: RedisServer, count: int) -> bool:
    """Whether more events than these are in the stream."""
    return len(events(server)) > count


def ordered(server: RedisServer) -> dict[int, list[str]]:
    """Return what each user has ordered whose dialog is complete."""
    return {user: args for user, command, args in events(server) if command == "/ordered"}


@pytest.mark.parametrize("way", ["polling", "receiving"])
async def test_every_dialog_is_complete_once(
    redis_server: RedisServer, sim: Service, telegram: SimClient, way: str
) -> None:
    """One of two bots is killed again and again, amid its steps; once it is frozen and woken.

    Whether they ask for their updates or have them brought.
    """
    first, second = (bot(redis_server.url, url_of(sim)) for _ in range(2))
    if way == "receiving":
        port = free_port()
        bring_to(first, "127.0.0.1", port)
        bring_to(second, "127.0.0.2", port)
    with first, second:
        await eventually(lambda: f'"{way}"' in first.log + second.log)
        active, standby = (first, second) if f'"{way}"' in first.log else (second, first)
        for number in range(KILLS + 1):
            before = len(events(redis_server))
            await telegram.write_many(writings=dialogs_of(USERS[number :: KILLS + 1]))
            await eventually(partial(more_than, redis_server, before + FEW))
            if number == KILLS // 2:
                os.kill(active.pid, signal.SIGSTOP)
                await asyncio.sleep(4)
                os.kill(active.pid, signal.SIGCONT)
            elif number < KILLS:
                await asyncio.to_thread(active.kill)
                active.start()
            active, standby = standby, active
        await eventually(lambda: len(ordered(redis_server)) == len(USERS), seconds=60)
        async with asyncio.timeout(30):
            while (await telegram.overview()).bot.pending:
                await asyncio.sleep(0.1)
        steps = Counter((user, command) for user, command, _ in events(redis_server))
        assert set(steps.values()) == {1}
        assert len(steps) == len(USERS) * (len(QUESTIONS) + 1)
        assert ordered(redis_server) == {user: words(user) for user in USERS}
