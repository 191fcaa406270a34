"""`python -m tests.chaos`: the delivery suite as a soak or as a search, as long as one likes."""

import argparse
import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from itertools import count

from tests.chaos.histories.search import search
from tests.chaos.rig import Rig
from tests.chaos.run import Plan, Run
from tests.chaos.sabotage import PROTECTIONS
from tests.chaos.streams_alone import StreamsAlone
from tests.chaos.whole_path import WholePath

RIGS: dict[str, type[Rig]] = {"streams": StreamsAlone, "path": WholePath}

AT_A_TIME = 500
"""Histories that one seed decides."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for; exits with 64 where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Kill every part again and again under load, and check that nothing is lost. "
        "Ctrl-C ends the faults and judges what there is.",
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="go on for at least so long")
    parser.add_argument("--updates", type=int, default=10_000, help="send at least so many")
    parser.add_argument("--kills", type=int, default=40, help="send at least so many SIGKILLs")
    parser.add_argument("--rate", type=float, default=100.0, help="commands a second")
    parser.add_argument("--seed", type=int, help="repeat the faults of an earlier run")
    parser.add_argument(
        "--rig",
        choices=RIGS,
        default="path",
        help="streams: publisher and consumer alone; path: simulator, bot, Redis and backend",
    )
    parser.add_argument(
        "--without", choices=PROTECTIONS, default="", help="take a protection away and see it fail"
    )
    parser.add_argument(
        "--histories",
        type=int,
        default=0,
        help="instead, try so many random histories on one server, and show the shortest that "
        "breaks a claim; --seed tries the same again",
    )
    try:
        return parser.parse_args(arguments)
    except SystemExit as error:
        raise SystemExit(os.EX_USAGE if error.code else os.EX_OK) from None


def say(line: str) -> None:
    """Write one line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def soak(asked: argparse.Namespace) -> int:
    """Run as asked; return 0 where every claim holds, else 1."""
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    plan = Plan(seed, asked.updates, asked.kills, asked.minutes * 60, asked.rate)
    say(f"seed={seed}")
    async with RIGS[asked.rig](asked.without) as rig:
        run = Run(rig, plan, say)
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, run.stop)
        result = await run()
    say(f"\n{result.table()}")
    return 1 if result.verdict.broken else 0


def try_histories(asked: argparse.Namespace) -> int:
    """Try histories as asked; return 0 where every claim holds, else 1."""
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    say(f"seed={seed}")
    left = asked.histories
    for start in count(seed):
        broken = search(min(left, AT_A_TIME), start)
        if broken:
            say(f"{broken}\n\nagain: make chaos histories={min(left, AT_A_TIME)} seed={start}")
            return 1
        left -= min(left, AT_A_TIME)
        say(f"{asked.histories - left:>9,} histories, no claim broken")
        if not left:
            return 0
    raise AssertionError("counting never ends")


if __name__ == "__main__":
    arguments = parse(sys.argv[1:])
    sys.exit(try_histories(arguments) if arguments.histories else asyncio.run(soak(arguments)))
