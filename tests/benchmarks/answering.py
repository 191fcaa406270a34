"""One command at a time: how soon it is in the stream and answered, alone and beside a slow one."""

import asyncio
import time
from collections.abc import Callable
from statistics import median

from telegram_sim.client import SimClient
from tests.benchmarks.draining import AIOGRAM, BOTS, OURS, PEERS, PTB, bot_of
from tests.benchmarks.environments import bot_python
from tests.benchmarks.findings import Report, Target
from tests.processes import TOKEN, Service, simulator, url_of
from tests.servers import RedisServer

ALONE = 100
"""Commands that are written, each after the answer to the one before it."""
BESIDE = 20
"""The same, while a handler of another user takes its time."""
SLOW = 10
"""Seconds that it takes."""
PATIENCE = 60.0
Times = dict[str, list[float]]


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Ask every bot in turn, `rounds` times, and add what was found."""
    runs: dict[str, Times] = {}
    for number in range(rounds):
        for name in BOTS:
            say(f"round {number + 1} of {rounds}: one command at a time, {name}")
            for what, milliseconds in asyncio.run(_ask(name)).items():
                runs.setdefault(what, {}).setdefault(name, []).append(milliseconds)
    beside = f"beside a handler of {SLOW} s"
    for what, by_name in runs.items():
        for peer in (PTB, AIOGRAM):
            report.compare(what, "ms", by_name[OURS], peer, by_name[peer])
    worst = [value / 1000 for value in runs[f"answer {beside}, median"][OURS]]
    report.state(f"answer {beside}, median", "s", worst, Target(1, at_least=False))
    report.note(
        f"one command at a time: {ALONE} alone, {BESIDE} {beside}; python-telegram-bot handles one "
        f"update at a time by default, aiogram {32} in this setting"
    )


async def _ask(name: str) -> dict[str, float]:
    """Return the milliseconds that one bot took, by what was measured."""
    with RedisServer() as redis, simulator(limits=False) as sim:
        async with SimClient(url_of(sim), token=TOKEN) as telegram:
            await telegram.ready()
            service, command = _bot(name, redis.url, url_of(sim))
            service.start(*command)
            try:
                await _answer(telegram, redis, 0)  # it runs
                alone = [await _answer(telegram, redis, number) for number in range(1, ALONE + 1)]
                await telegram.write(f"/wait {SLOW}", user=7)
                numbers = range(ALONE + 1, ALONE + BESIDE + 1)
                beside = [await _answer(telegram, redis, number) for number in numbers]
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"{name}: {error!r}\n{service.log[-2000:]}") from error
            finally:
                service.kill()
    how = f"beside a handler of {SLOW} s"
    return {
        "command to stream, median": median(stored for stored, _ in alone) * 1e3,
        "command to answer, median": median(answered for _, answered in alone) * 1e3,
        f"answer {how}, median": median(answered for _, answered in beside) * 1e3,
        f"answer {how}, longest": max(answered for _, answered in beside) * 1e3,
    }


async def _answer(telegram: SimClient, redis: RedisServer, number: int) -> tuple[float, float]:
    """Write one command; return the seconds until it was in the stream, and until its answer."""
    client = redis.client()
    began = time.perf_counter()
    written = await telegram.write(f"/command {number}", user=1000 + number)
    answer = asyncio.create_task(
        telegram.wait_for_answer(1000 + number, after=written.message_id, timeout=PATIENCE)
    )
    while client.xlen("command_received") <= number:
        if time.perf_counter() - began > PATIENCE:
            raise AssertionError("a command did not reach the stream")
        await asyncio.sleep(0)
    stored = time.perf_counter() - began
    await answer
    return stored, time.perf_counter() - began


def _bot(name: str, redis_url: str, sim_url: str) -> tuple[Service, tuple[str, ...]]:
    """Return a bot that is ready to be started, and the command that starts it."""
    service, command = bot_of(name, "yes", redis_url, sim_url, limitless=True)
    if name == OURS:
        return service, (str(bot_python()), str(PEERS / "ours.py"))
    return service, command
