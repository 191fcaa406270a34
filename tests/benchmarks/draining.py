"""Bots and a backlog: how fast it is in the stream, how fast answered, and what the bot costs."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telegram_sim.client import SimClient
from tests.benchmarks.clocks import Memory, cpu_seconds, memory
from tests.benchmarks.environments import bot_python, peers_python
from tests.benchmarks.findings import Report, Target
from tests.processes import TOKEN, Service, bot, simulator, url_of
from tests.servers import RedisServer

PEERS = Path(__file__).parent / "peers"
USERS = 200
BACKLOG = 4_000
"""Commands that wait when a bot starts; a run ends when all of them are in the stream. All of them,
since a bot that fetches ahead of its work would be measured while it only fetches."""
ANSWERED = 1_500
"""Commands of a run that ends when all of them are answered too."""
DEADLINE = 120.0
"""Seconds until the first command is in the stream."""
SLOWEST = 200
"""Commands a second below which a run is given up."""
OURS, PTB, AIOGRAM = "Herald", "python-telegram-bot", "aiogram"
BOTS = (OURS, PTB, AIOGRAM)


@dataclass(frozen=True)
class Drain:
    """One run of one bot.

    Attributes:
        rate: commands a second, into the stream or answered.
        start: seconds from the start of the process to the first command in the stream.
        memory: of the bot at the end.
        cpu: microseconds of processor time that the bot used for a command.
        simulator: share of the time that the simulator's processor was busy.
    """

    rate: float
    start: float
    memory: Memory
    cpu: float
    simulator: float


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Drain with every bot in turn, `rounds` times, and add what was found."""
    modes = {
        "drain": ("yes", BACKLOG, False),
        "drain, publish only": ("no", BACKLOG, False),
        "drain, all answered": ("yes", ANSWERED, True),
    }
    runs: dict[str, dict[str, list[Drain]]] = {mode: {name: [] for name in BOTS} for mode in modes}
    for number in range(rounds):
        for mode, (answers, backlog, answered) in modes.items():
            for name in BOTS:
                say(f"round {number + 1} of {rounds}: {mode}, {name}")
                runs[mode][name].append(
                    asyncio.run(drain(name, answers, backlog, answered=answered))
                )
    _add(report, runs)


def _add(report: Report, runs: dict[str, dict[str, list[Drain]]]) -> None:
    targets = {
        "drain": {PTB: Target(6), AIOGRAM: Target(4)},
        "drain, all answered": {PTB: Target(3), AIOGRAM: Target(2)},
    }
    for mode, by_name in runs.items():
        mine = [run.rate for run in by_name[OURS]]
        for peer in (PTB, AIOGRAM):
            theirs = [run.rate for run in by_name[peer]]
            report.compare(mode, "/s", mine, peer, theirs, targets.get(mode, {}).get(peer))
        for peer in (PTB, AIOGRAM):
            costs = _both(by_name, peer, lambda run: run.cpu)
            report.compare(f"{mode}: processor time", "µs", *costs, inverse=True)
    drains = runs["drain"]
    for peer in (PTB, AIOGRAM):
        report.compare("bot memory (RSS)", "MB", *_both(drains, peer, lambda run: run.memory.rss))
    report.state(
        "bot memory (RSS)", "MB", [r.memory.rss for r in drains[OURS]], Target(80, at_least=False)
    )
    report.state("bot memory (PSS)", "MB", [r.memory.pss for r in drains[OURS]])
    starts = [run.start for by_name in runs.values() for run in by_name[OURS]]
    report.state("start to first command in the stream", "s", starts, Target(1.2, at_least=False))
    for peer in (PTB, AIOGRAM):
        report.compare("start", "s", *_both(drains, peer, lambda run: run.start))
    for mode, by_name in runs.items():
        shares = ", ".join(f"{name} {_busy(by_name[name]):.0%}" for name in BOTS)
        report.note(f"{mode}: the simulator kept one processor busy for {shares} of the time")
    report.note(
        "drain: every bot answers; Herald's replies leave at its own limit of 30/s meanwhile, and "
        "in 'all answered' without a limit (REPLIES_PER_SECOND=0)"
    )


def _both(
    runs: dict[str, list[Drain]], peer: str, value: Callable[[Drain], float]
) -> tuple[list[float], str, list[float]]:
    return [value(run) for run in runs[OURS]], peer, [value(run) for run in runs[peer]]


def _busy(runs: list[Drain]) -> float:
    return statistics.median(run.simulator for run in runs)


async def drain(name: str, answers: str, backlog: int, *, answered: bool) -> Drain:
    """Let one bot drain a backlog until all of it is in the stream, or `answered` as well."""
    with RedisServer() as redis, simulator(limits=False) as sim:
        async with SimClient(url_of(sim), token=TOKEN) as telegram:
            await telegram.ready()
            await telegram.write_many("/command test arg{n}", count=backlog, users=USERS)
            addresses = (redis.url, url_of(sim))
            service, command = bot_of(name, answers, *addresses, limitless=answered)
            began = time.perf_counter()
            service.start(*command)
            try:
                return await _watch(service, sim, redis, telegram, backlog, answered, began)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}\n{service.log[-2000:]}") from error
            finally:
                service.kill()


async def _watch(  # noqa: PLR0913, PLR0917 — everything that takes part
    service: Service,
    sim: Service,
    redis: RedisServer,
    telegram: SimClient,
    backlog: int,
    answered: bool,  # noqa: FBT001 — as above
    began: float,
) -> Drain:
    """Measure from the first command in the stream to the end."""
    client = redis.client()
    first = await _until(lambda: client.xlen("command_received"), 0.002, began)
    counted = time.perf_counter()
    before = cpu_seconds(service.pid), cpu_seconds(sim.pid)
    handled = backlog - first
    while client.xlen("command_received") < backlog or (
        answered and (await telegram.bot()).sent < backlog
    ):
        if time.perf_counter() - counted > DEADLINE + backlog / SLOWEST:
            raise AssertionError(f"{client.xlen('command_received')} of {backlog} handled")
        await asyncio.sleep(0.01)
    took = time.perf_counter() - counted
    return Drain(
        rate=handled / took,
        start=counted - began,
        memory=memory(service.pid),
        cpu=(cpu_seconds(service.pid) - before[0]) / handled * 1e6,
        simulator=(cpu_seconds(sim.pid) - before[1]) / took,
    )


async def _until(look: Callable[[], Any], pause: float, began: float) -> int:
    while not (value := look()):
        if time.perf_counter() - began > DEADLINE:
            raise AssertionError("no command reached the stream")
        await asyncio.sleep(pause)
    return int(value)


def bot_of(
    name: str, answers: str, redis_url: str, sim_url: str, *, limitless: bool
) -> tuple[Service, tuple[str, ...]]:
    """Return a bot that is ready to be started, and the command that starts it.

    Ours keeps its own limit on replies except where it is measured how fast all are sent.
    """
    if name == OURS:
        service = bot(redis_url, sim_url)
        if limitless:
            service.variables["REPLIES_PER_SECOND"] = "0"
        return service, (str(bot_python()), "-m", "tg_bot")
    variables = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": sim_url,
        "REDIS_URL": redis_url,
        "ANSWERS": answers,
    }
    script = {PTB: "stock_ptb.py", AIOGRAM: "stock_aiogram.py"}[name]
    return Service(name, **variables), (str(peers_python()), str(PEERS / script))
