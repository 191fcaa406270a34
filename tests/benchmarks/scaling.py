"""What an update costs the bot where many wait: processor time and memory, as the backlog grows."""

import asyncio
from collections.abc import Callable

from tests.benchmarks.draining import OURS, Drain, drain
from tests.benchmarks.findings import Report, Target

FEW, MANY = 1_000, 100_000
"""Updates that wait when the bot starts; all of them are answered at the end."""
GROWTH = 1.25
"""By how much an update may cost more of many than of few, and the bot's memory grow."""


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Have few and many updates handled in turn, `rounds` times, and add what was found."""
    runs: dict[int, list[Drain]] = {FEW: [], MANY: []}
    for number in range(rounds):
        for backlog, made in runs.items():
            say(f"round {number + 1} of {rounds}: {backlog:,} updates")
            made.append(asyncio.run(drain(OURS, "yes", backlog, answered=True)))
    few, many = runs[FEW], runs[MANY]
    what, peer = f"an update of {MANY:,}", f"of {FEW:,}"
    most = Target(GROWTH, at_least=False)
    costs = [run.cpu for run in many], peer, [run.cpu for run in few]
    report.compare(f"{what}: processor time", "µs", *costs, most)
    sizes = [run.memory.rss for run in many], peer, [run.memory.rss for run in few]
    report.compare(f"memory after {MANY:,} updates", "MB", *sizes, most)
