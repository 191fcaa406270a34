"""`make tests`: run the test suites and say which ran, how many tests, and which could not run.

Every folder of tests is a suite: a service's, and each in tests/. Two suites run at a time, and the
files of one that mostly waits are shared among processes. A suite that needs Docker or a browser
says so in one line where there is none. With CI=true both are set up first, on this machine, and a
suite that cannot run has failed; what needs neither begins meanwhile.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from infra.dev.environment import ROOT, say

NO_DOCKER = "Docker and Compose do not answer; on Debian, as root: make docker-engine"
NO_NAMESPACES = "it makes networks of its own; as root: apt-get install iproute2 iptables"
AT_ONCE = 2
NO_BROWSER = "there is no chromium; on Debian, as root: apt-get install chromium"
INSTALL = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium")
# What a make that a test starts would take for its own.
OF_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
# https://docs.pytest.org/en/stable/reference/exit-codes.html
FAILED, NO_TESTS = 1, 5


@dataclass(frozen=True)
class Needs:
    """What a suite asks of the machine.

    Attributes:
        docker: An engine and Compose.
        browser: Chromium.
        service: One of the stack's; without it, in a project that has left it out, there is no
            such suite: it proves Herald, and Herald runs it.
        namespaces: Root, and what makes networks of processes.
        processes: Among how many its files are shared; no file may need another.
    """

    docker: bool = False
    browser: bool = False
    service: str = ""
    namespaces: bool = False
    processes: int = 1


# The longest first, so that what runs at the same time ends at the same time; before it what runs
# while Docker is set up.
NEEDS = {
    "chaos": Needs(service="backend", processes=2),
    "deploy": Needs(docker=True, service="backend", processes=2),
    "group": Needs(docker=True, service="backend"),
    "shared": Needs(processes=2),
    "infra": Needs(),
    "docker": Needs(docker=True, service="backend"),
    "scale": Needs(docker=True, service="backend", processes=2),
    "forks": Needs(),
    "observability": Needs(service="backend", processes=2),
    "guide": Needs(docker=True, service="backend"),
    "failover": Needs(namespaces=True),
    "console": Needs(browser=True, service="backend", processes=2),
    "backend": Needs(docker=True),
    "telegram_sim": Needs(),
    "demo": Needs(service="backend"),
    "e2e": Needs(docker=True, service="backend"),
    "integration": Needs(docker=True, service="backend"),
    "inbox": Needs(docker=True),
}


@dataclass(frozen=True)
class Suite:
    """A named part of the tests."""

    name: str
    folder: str
    needs: Needs


@dataclass(frozen=True)
class Outcome:
    """What became of a suite; `missing` says in one line why it did not run."""

    suite: Suite
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    missing: str = ""

    @property
    def ok(self) -> bool:
        """Whether tests ran and none failed."""
        return not self.missing and self.failed == 0 and self.passed > 0


def find_suites() -> dict[str, Suite]:
    """Return all suites by name, in the order in which they are begun."""
    folders = {path.parent.name: path for path in ROOT.glob("services/*/tests")}
    folders |= {path.parent.name: path.parent for path in ROOT.glob("tests/*/test_*.py")}
    there = {path.name for path in ROOT.glob("services/*/")}
    gone = {name for name, needs in NEEDS.items() if needs.service not in {"", *there}}
    names = [name for name in (*NEEDS, *sorted(folders.keys() - NEEDS)) if name in folders]
    return {
        name: Suite(name, str(folders[name].relative_to(ROOT)), NEEDS.get(name, Needs()))
        for name in names
        if name not in gone
    }


SUITES = find_suites()


def main(arguments: Sequence[str]) -> int:
    """Run the named suites, or all; return the exit code of the whole run."""
    parser = argparse.ArgumentParser(prog="python -m infra.dev.suites")
    parser.add_argument("names", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("-k", dest="chosen", default="", help="choose tests, as pytest's -k does")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in SUITES]
    if unknown:
        print(f"no suite is called {unknown[0]!r}; there are: {', '.join(SUITES)}", file=sys.stderr)
        return os.EX_USAGE
    suites = [SUITES[name] for name in options.names or SUITES]
    ci = os.environ.get("CI") == "true"
    outcomes = run_all(suites, options.chosen, partial(set_up, suites) if ci else docker_answers)
    if options.chosen:
        outcomes = [
            outcome for outcome in outcomes if outcome.passed or outcome.failed or outcome.missing
        ]
    if not outcomes:
        print(f"k={options.chosen} chooses no test", file=sys.stderr)
        return os.EX_USAGE
    report(outcomes)
    if any(not outcome.ok and not outcome.missing for outcome in outcomes):
        return 1
    if any(outcome.missing for outcome in outcomes):
        return 1 if ci else os.EX_UNAVAILABLE
    return os.EX_OK


def set_up(suites: Sequence[Suite]) -> bool:
    """Set up on this machine what suites need; return whether Docker answers."""
    if any(suite.needs.docker for suite in suites):
        subprocess.run((sys.executable, "-m", "infra.engine"), cwd=ROOT, check=False)
    if any(suite.needs.browser for suite in suites) and not shutil.which("chromium"):
        for step in (("apt-get", "update", "--quiet"), INSTALL):
            subprocess.run(step, check=False)
    return docker_answers()


def run_all(
    suites: Sequence[Suite], chosen: str = "", prepare: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Run suites, some at the same time; a single one shows what it does while it does it.

    Args:
        suites: In the order in which they are begun.
        chosen: Words that choose tests, as pytest's -k takes them; empty for all.
        prepare: Returns, when what suites need is there, whether Docker answers.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        docker = pool.submit(prepare)
        live = len(suites) == 1
        runs = [pool.submit(run, suite, chosen, docker, live=live) for suite in suites]
        try:
            return [outcome.result() for outcome in runs]
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def run(suite: Suite, chosen: str, docker: Future[bool], *, live: bool) -> Outcome:
    """Run one suite with pytest, where it can run; what it prints is kept together."""
    if suite.needs.docker or suite.needs.browser or suite.needs.namespaces:
        wait([docker])
    missing = NO_DOCKER if suite.needs.docker and not docker.result() else ""
    if suite.needs.browser and not shutil.which("chromium"):
        missing = NO_BROWSER
    if suite.needs.namespaces and not may_make_namespaces():
        missing = NO_NAMESPACES
    if missing:
        say(f"suite {suite.name} does not run: {missing}")
        return Outcome(suite, missing=missing)
    say(f"suite {suite.name}")
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="herald-tests-") as folder:
        results, output = Path(folder, "results.xml"), Path(folder, "output")
        env = {name: text for name, text in os.environ.items() if name not in OF_MAKE}
        env["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        with output.open("wb") as file:
            code = subprocess.run(
                command(suite, chosen, results),
                cwd=ROOT,
                env=env,
                check=False,
                stdout=None if live else file,
                stderr=None if live else subprocess.STDOUT,
            ).returncode
        passed, failed = count(results)
        say(f"suite {suite.name} is over, exit code {code}\n{output.read_text(errors='replace')}")
    if code not in {0, FAILED, *([NO_TESTS] if chosen else [])} or (code == FAILED and not failed):
        failed += 1
    return Outcome(suite, passed, failed, monotonic() - began)


def command(suite: Suite, chosen: str, results: Path) -> list[str]:
    """Return how a suite is run."""
    words = [sys.executable, "-m", "pytest", "-q", suite.folder, f"--junit-xml={results}"]
    if suite.needs.processes > 1:
        words += ["--numprocesses", str(suite.needs.processes), "--dist", "loadfile"]
    return [*words, "-k", chosen] if chosen else words


def count(results: Path) -> tuple[int, int]:
    """Return how many tests passed and failed; one that was skipped has not passed."""
    if not results.is_file():
        return 0, 0
    passed = failed = 0
    for suite in ET.parse(results).getroot().iter("testsuite"):  # noqa: S314 — our own pytest wrote it
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        failed += bad + skipped
        passed += int(suite.get("tests", 0)) - bad - skipped
    return passed, failed


def may_make_namespaces() -> bool:
    """Whether this process may make networks of its own."""
    return not os.geteuid() and all(shutil.which(program) for program in ("ip", "iptables"))


def docker_answers() -> bool:
    """Whether there is a Docker engine and the Compose plugin."""
    if shutil.which("docker") is None:
        return False
    asks = (("docker", "info"), ("docker", "compose", "version"))
    return all(
        subprocess.run(ask, check=False, capture_output=True).returncode == 0 for ask in asks
    )


def report(outcomes: Sequence[Outcome]) -> None:
    """Print a line a suite, then the totals."""
    print()
    for outcome in outcomes:
        name = outcome.suite.name
        if outcome.missing:
            print(f"  {name:<14} did not run")
        else:
            counts = f"{outcome.passed:>4} passed {outcome.failed:>3} failed"
            print(f"  {name:<14} {counts} {outcome.seconds:>7.1f} s")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"\n{passed} passed, {failed} failed")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
