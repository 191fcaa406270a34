"""What an update costs the bot where many wait: processor time and memory, as the backlog grows."""

import asyncio
from collections.abc import Callable

from tests.benchmarks.draining import OURS, Drain, drain
from tests.benchmarks.findings import Report, Target

FEW, MANY, MILLION = 1_000, 100_000, 1_000_000
"""Updates that wait when the bot starts; all of them are answered at the end."""
GROWTH = 1.25
"""By how much an update may cost more of many than of few, and the bot's memory grow."""


def measure(report: Report, rounds: int, say: Callable[[str], None], *, many: int = MANY) -> None:
    """Have few and many updates handled in turn, `rounds` times, and add what was found."""
    runs: dict[int, list[Drain]] = {FEW: [], many: []}
    for number in range(rounds):
        for backlog, made in runs.items():
            say(f"round {number + 1} of {rounds}: {backlog:,} updates")
            made.append(asyncio.run(drain(OURS, "yes", backlog, answered=True)))
    least, most = runs[FEW], runs[many]
    what, peer = f"an update of {many:,}", f"of {FEW:,}"
    bound = Target(GROWTH, at_least=False)
    costs = [run.cpu for run in most], peer, [run.cpu for run in least]
    report.compare(f"{what}: processor time", "µs", *costs, bound)
    sizes = [run.memory.rss for run in most], peer, [run.memory.rss for run in least]
    report.compare(f"memory after {many:,} updates", "MB", *sizes, bound)
