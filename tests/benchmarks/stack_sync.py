"""How long `sync` takes with 3, 50 and 500 services, against `docker compose config` on the result.

Run `python -m tests.benchmarks.stack_sync [--json]`. Each figure is a whole process, start to end:
`first` writes everything, `again` finds nothing to do, `check` prints no diff. Compose is asked for
what one deploy needs of it, prod, and for base with dev.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[2]
SIZES = (3, 50, 500)
TARGETS = {3: 0.4, 500: 2.0}
RUNS = 3
SERVICE = """
  - name: service_{number}
    type: python
    description: Worker number {number} of many.
    depends_on: {{redis: service_healthy}}
    health: {{http: /health, port: 8080}}
    env:
      REDIS_URL: {{from: redis, description: Redis that holds the event streams.}}
      HEALTH_PORT: {{from: self.health_port, description: Port of its own /health.}}
      LOG_LEVEL: {{default: INFO, description: Least severe log lines to write.}}
      LOG_FORMAT: {{default: json, description: Form of a log line.}}
    publishes: [event_{said}]
    subscribes: [event_{heard}]
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Median seconds for one size; None where there is no Compose."""

    services: int
    first: float
    again: float
    check: float
    compose_prod: float | None
    compose_dev: float | None
    target: float | None


def declare(folder: Path, size: int) -> None:
    """Write a stack of that many services, each publishing one event and reading another."""
    events = max(1, size // 5)
    spec = folder / "shared/spec/events.yaml"
    spec.parent.mkdir(parents=True)
    channels = (f"  event_{number}: {{address: event_{number}}}\n" for number in range(events))
    spec.write_text("channels:\n" + "".join(channels))
    services = (
        SERVICE.format(number=number, said=number % events, heard=(number + 1) % events)
        for number in range(size)
    )
    head = "version: 1\nproject: many\ninfrastructure: {redis: {type: redis}}\nservices:"
    (folder / "services.yml").write_text(head + "".join(services))


def median(measure: Callable[[], float]) -> float:
    """Return the median of a few measurements."""
    return statistics.median(measure() for _ in range(RUNS))


def seconds(folder: Path, *command: str) -> float:
    """Return how long a command takes; it has to succeed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    began = monotonic()
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return monotonic() - began


def measure(size: int, *, compose: bool) -> Result:
    """Measure one size."""
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name:
        folder = Path(name)
        declare(folder, size)
        sync = (sys.executable, "-m", "infra.stack", "sync")
        config = ("docker", "compose", "--project-directory", ".")
        prod = (*config, "-f", "infra/compose.prod.yml", "config", "--quiet")
        dev = (*config, "-f", "infra/compose.base.yml", "-f", "infra/compose.dev.yml")

        def first() -> float:
            shutil.rmtree(folder / "infra", ignore_errors=True)
            return seconds(folder, *sync)

        return Result(
            services=size,
            first=median(first),
            again=median(lambda: seconds(folder, *sync)),
            check=median(lambda: seconds(folder, *sync, "--mode", "check")),
            compose_prod=median(lambda: seconds(folder, *prod)) if compose else None,
            compose_dev=median(lambda: seconds(folder, *dev, "config", "-q")) if compose else None,
            target=TARGETS.get(size),
        )


def has_compose() -> bool:
    """Say whether docker compose is installed."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def table(results: list[Result]) -> str:
    """Return the results as lines of text, with each ratio to Compose and each target."""
    lines = ["services    first    again    check   compose prod   base+dev   target"]
    for one in results:
        compose = [
            f"{value:.2f} s" if value is not None else "-"
            for value in (one.compose_prod, one.compose_dev)
        ]
        verdict = ""
        if one.target is not None:
            worst = max(one.first, one.again, one.check)
            verdict = f"{one.target} s {'met' if worst <= one.target else f'missed: {worst:.2f} s'}"
        lines.append(
            f"{one.services:>8} {one.first:>6.2f} s {one.again:>6.2f} s {one.check:>6.2f} s"
            f" {compose[0]:>14} {compose[1]:>10}   {verdict}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure every size and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    compose = has_compose()
    results = [measure(size, compose=compose) for size in SIZES]
    if options.json:
        print(json.dumps([asdict(one) for one in results], indent=2))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
