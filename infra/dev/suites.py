"""`make tests`: run the test suites and say which ran, how many tests, and which could not run.

A suite that needs Docker says so in one line where there is none. With CI=true the engine is set
up first, on this machine, and a suite that cannot run has failed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from infra.dev.environment import ROOT, say

NO_DOCKER = "Docker and Compose do not answer; on Debian, as root: make docker-engine"


@dataclass(frozen=True)
class Suite:
    """A named part of the tests."""

    name: str
    folder: str
    needs_docker: bool = False


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


KNOWN = (
    Suite("shared", "tests/shared"),
    Suite("infra", "tests/infra"),
    Suite("demo", "tests/demo"),
    Suite("upstream", "tests/upstream"),
    Suite("tg_bot", "services/tg_bot/tests"),
    Suite("telegram_sim", "services/telegram_sim/tests"),
    Suite("backend", "services/backend/tests", needs_docker=True),
    Suite("docker", "tests/docker", needs_docker=True),
    Suite("chaos", "tests/chaos"),
    Suite("integration", "tests/integration", needs_docker=True),
    Suite("e2e", "tests/e2e", needs_docker=True),
    Suite("deploy", "tests/deploy", needs_docker=True),
)
# A service that was scaffolded brings its suite along.
SUITES = KNOWN + tuple(
    Suite(folder.parent.name, f"services/{folder.parent.name}/tests")
    for folder in sorted(ROOT.glob("services/*/tests"))
    if folder.parent.name not in {suite.name for suite in KNOWN}
)


def main(names: Sequence[str]) -> int:
    """Run the named suites, or all; return the exit code of the whole run."""
    known = {suite.name: suite for suite in SUITES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no suite is called {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return os.EX_USAGE
    suites = [known[name] for name in names] or list(SUITES)
    ci = os.environ.get("CI") == "true"
    if ci and any(suite.needs_docker for suite in suites):
        subprocess.run((sys.executable, "-m", "infra.engine"), cwd=ROOT, check=False)
    docker = docker_answers()
    outcomes = [run(suite, docker=docker) for suite in suites]
    report(outcomes)
    if any(not outcome.ok and not outcome.missing for outcome in outcomes):
        return 1
    if any(outcome.missing for outcome in outcomes):
        return 1 if ci else os.EX_UNAVAILABLE
    return os.EX_OK


def run(suite: Suite, *, docker: bool) -> Outcome:
    """Run one suite with pytest, where it can run."""
    if suite.needs_docker and not docker:
        say(f"suite {suite.name} does not run: {NO_DOCKER}")
        return Outcome(suite, missing=NO_DOCKER)
    say(f"suite {suite.name}")
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="herald-tests-") as folder:
        results = Path(folder, "results.xml")
        command = (sys.executable, "-m", "pytest", "-q", suite.folder, f"--junit-xml={results}")
        env = {**os.environ, "TESTCONTAINERS_RYUK_DISABLED": "true"}
        code = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
        passed, failed = count(results)
    if code not in {0, 1} or (code == 1 and not failed):
        failed += 1
    return Outcome(suite, passed, failed, monotonic() - began)


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
