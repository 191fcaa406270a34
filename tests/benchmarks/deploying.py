"""Deploys to a test server: first, nothing new, upgrade and rollback; beside plain Compose.

Plain Compose gets the release's own files on the server itself, so that it has neither SSH nor
images to send. An upgrade is a changed setting: backend and bot are replaced by each of both.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.findings import Report, Target
from tests.deploy.project import Project
from tests.deploy.server import Server
from tests.deploy.telegram import reachable_simulator
from tests.deploy.traffic import Watcher

HOST = "host=server"
COMPOSE = "docker compose up --wait"
LEVELS = ("DEBUG", "INFO")
QUIET = 3.0
"""Seconds that somebody polls before and after what is measured."""


@dataclass
class Taken:
    """What each run of one way took, in seconds, and the longest time without a poll in each."""

    seconds: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Deploy again and again, and add what was found."""
    with (
        tempfile.TemporaryDirectory(prefix="herald-bench-") as folder,
        reachable_simulator() as telegram,
        Server(Path(folder)) as server,
    ):
        project = Project(Path(folder), telegram)
        project.servers["server"] = server
        project.inventory()
        project.set_secrets()
        say("deploy to a bare server")
        first, unchanged = Taken(), Taken()
        _time(first, telegram, lambda: project.succeed("deploy", HOST))
        upgrade, rollback, plain = Taken(), Taken(), Taken()
        for number in range(rounds):
            say(f"deploy, round {number + 1} of {rounds}: Herald")
            _time(unchanged, telegram, lambda: project.succeed("deploy", HOST))
            project.settings["LOG_LEVEL"] = LEVELS[number % 2]
            _time(upgrade, telegram, lambda: project.succeed("deploy", HOST))
            _time(rollback, telegram, lambda: project.succeed("rollback", HOST))
            _time(rollback, telegram, lambda: project.succeed("rollback", HOST))
        for number in range(rounds):
            say(f"deploy, round {number + 1} of {rounds}: {COMPOSE}")
            release = ("previous", "current")[number % 2]
            command = f"docker compose --file /srv/herald/{release}/compose.yml up --detach --wait"
            _time(plain, telegram, lambda script=command: server.sh(script))  # type: ignore[misc]  # mypy#15459
    _add(report, first, unchanged, upgrade, rollback, plain)


def _time(taken: Taken, telegram: str, work: Callable[[], object]) -> None:
    """Do something while somebody watches the polls; note what it took."""
    watcher = Watcher(telegram)
    try:
        time.sleep(QUIET)
        began = time.perf_counter()
        work()
        taken.seconds.append(time.perf_counter() - began)
        time.sleep(QUIET)
    finally:
        watcher.stop()
    taken.gaps.append(watcher.gap)


def _add(  # noqa: PLR0913, PLR0917 — a table has that many lines
    report: Report, first: Taken, unchanged: Taken, upgrade: Taken, rollback: Taken, plain: Taken
) -> None:
    report.state("first deploy, images sent", "s", first.seconds)
    report.state("deploy of nothing new", "s", unchanged.seconds, Target(3, at_least=False))
    report.compare("upgrade of backend and bot", "s", upgrade.seconds, COMPOSE, plain.seconds)
    report.state("rollback", "s", rollback.seconds)
    report.compare("upgrade: longest time without a poll", "s", upgrade.gaps, COMPOSE, plain.gaps)
    gaps = upgrade.gaps + rollback.gaps
    p95 = statistics.quantiles(gaps, n=20, method="inclusive")[-1]
    report.state("time without a poll, p95", "s", [p95], Target(1, at_least=False))
    report.note(f"time without a poll: {len(gaps)} upgrades and rollbacks")
