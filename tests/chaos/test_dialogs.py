"""Dialogs of five questions: every one complete once, whatever is killed, cut off or frozen."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, simulator, url_of
from tests.proxy import RedisProxy
from tests.servers import RedisServer
from tests.shared.telegram.dialog_bot import QUESTIONS, bot
from tests.shared.telegram.test_dialogs_killed import dialogs_of, events, ordered, words

WAVE = 12
"""Users who begin a dialog while one thing goes wrong."""
FEW = 8
"""Steps of a wave that are taken before it does."""
MOST_BEGUN = 10 * WAVE
"""Users who begin a dialog where a fault is waited for."""
PARKED = "{telegram_update}:parked:42"
STEP = b"step:"
"""What a command to Redis contains that takes a step, and one that reads where a user stands."""
UNFENCED = (sys.executable, "-m", "tests.chaos.unfenced_dialogs")


@dataclass
class Parts:
    """All that can go wrong."""

    redis: RedisServer
    proxy: RedisProxy
    sim: Service
    telegram: SimClient
    bots: list[Service]
    command: tuple[str, ...] = ()

    def start(self) -> None:
        """Start both bots."""
        for service in self.bots:
            service.start(*self.command)

    async def kill_bots(self) -> None:
        """Kill both at once, and start them again."""
        for service in self.bots:
            await asyncio.to_thread(service.kill)
        self.start()

    async def kill_one_bot(self) -> None:
        """Kill the one that began first; the other one takes over if that was polling."""
        await asyncio.to_thread(self.bots[0].kill)
        self.bots[0].start(*self.command)
        self.bots.reverse()

    async def freeze_both_in_turn(self) -> None:
        """Freeze each for longer than a lease lasts, and wake it up."""
        for service in self.bots:
            os.kill(service.pid, signal.SIGSTOP)
            await asyncio.sleep(4)
            os.kill(service.pid, signal.SIGCONT)

    async def kill_redis(self) -> None:
        """Kill it, and start it again from its file."""
        await asyncio.to_thread(self.redis.kill)
        await asyncio.to_thread(self.redis.start)

    async def lose_replies(self) -> None:
        """Carry out some steps, and have nobody hear of it."""
        await asyncio.wait_for(self.proxy.lose_replies(5, STEP).done.wait(), 60)

    async def cut_off(self) -> None:
        """Reset every connection to Redis."""
        self.proxy.reset_connections()

    async def kill_telegram(self) -> None:
        """Kill it, and start it again from its file."""
        await asyncio.to_thread(self.sim.kill)
        self.sim.start()
        await self.telegram.ready(60)


FAULTS: tuple[Callable[[Parts], Awaitable[None]], ...] = (
    Parts.kill_bots,
    Parts.lose_replies,
    Parts.kill_redis,
    Parts.kill_one_bot,
    Parts.freeze_both_in_turn,
    Parts.cut_off,
    Parts.kill_telegram,
    Parts.kill_bots,
)


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Service]:
    """A simulator whose state is in a file, and which sets no limits."""
    with simulator(tmp_path / "telegram", limits=False) as sim:
        yield sim


@pytest.fixture
async def parts(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> AsyncIterator[Parts]:
    """Everything but the bots, which are not started yet."""
    async with RedisProxy(redis_server.port) as proxy:
        bots = [bot(proxy.url, url_of(sim)) for _ in range(2)]
        yield Parts(redis_server, proxy, sim, telegram, bots)
        for service in bots:
            service.__exit__(None, None, None)


def more_than(server: RedisServer, count: int) -> bool:
    """Whether more events than these are in the stream; a server that is away has none."""
    return len(events(server)) > count


async def confirmed(parts: Parts) -> None:
    """Return when neither Telegram nor Redis keeps anything for the bots any more."""
    async with asyncio.timeout(90):
        while (await parts.telegram.overview()).bot.pending:
            await asyncio.sleep(0.1)
    await eventually(lambda: parts.redis.client().hlen(PARKED) == 0, seconds=90)


def faults(server: RedisServer, users: range) -> list[str]:
    """Return what is wrong with the dialogs of some users."""
    steps = Counter((user, command) for user, command, _ in events(server))
    wrong = [f"{step} {times} times" for step, times in steps.items() if times != 1]
    if len(steps) != len(users) * (len(QUESTIONS) + 1):
        wrong.append(f"{len(steps)} steps")
    return wrong + [f"{user}" for user in users if ordered(server).get(user) != words(user)]


@pytest.mark.timeout(600)
async def test_every_dialog_is_complete_once(parts: Parts) -> None:
    """Each fault strikes amid the steps of a dozen dialogs; none is lost, none is taken twice."""
    parts.start()
    users = range(100, 100 + WAVE * len(FAULTS))
    for number, fault in enumerate(FAULTS):
        before = len(events(parts.redis))
        wave = users[number * WAVE : (number + 1) * WAVE]
        await parts.telegram.write_many(writings=dialogs_of(wave))
        strike = asyncio.create_task(fault(parts)) if fault is Parts.lose_replies else None
        await eventually(partial(more_than, parts.redis, before + FEW), seconds=60)
        await (strike or fault(parts))
        await confirmed(parts)
    assert faults(parts.redis, users) == []


@pytest.mark.timeout(300)
async def test_without_the_fence_a_step_is_taken_twice(parts: Parts) -> None:
    """A repeated update answers the next question: the claim is seen to fail."""
    parts.command = UNFENCED
    parts.start()
    begun = 0
    while not begun or faults(parts.redis, range(100, 100 + begun)) == []:
        assert begun < MOST_BEGUN, "no kill struck between a step and its confirmation"
        before = len(events(parts.redis))
        wave = range(100 + begun, 100 + begun + WAVE)
        await parts.telegram.write_many(writings=dialogs_of(wave))
        await eventually(partial(more_than, parts.redis, before + FEW), seconds=60)
        await parts.kill_bots()
        await confirmed(parts)
        begun += WAVE
