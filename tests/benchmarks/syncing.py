"""Syncing: services.yml with 3, 50 and 500 services into every file, beside Compose's own look.

Each value is a whole process, start to end. `anew` writes everything, `check` finds no difference.
`docker compose config` reads what sync wrote for a server, which is one of its four Compose files.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.findings import Report, Target

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {3: Target(0.4, at_least=False), 500: Target(2.0, at_least=False)}
SIZES = (3, 50, 500)
HEAD = "version: 1\nproject: many\ninfrastructure: {redis: {type: redis}}\nservices:"
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
SYNC = (sys.executable, "-m", "infra.stack", "sync")
CONFIG = (
    *("docker", "compose", "--project-directory", ".", "-f", "infra/compose.prod.yml"),
    *("config", "--quiet"),
)


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Add the time of a sync for each size, and Compose's on the same output."""
    compose = has_compose()
    if not compose:
        report.note("sync beside docker compose config: not measured, Compose is not installed")
    for size in SIZES:
        anew, check, config = [], [], []
        with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
            root = Path(folder)
            declare(root, size)
            for number in range(rounds):
                say(f"sync {size} services, round {number + 1} of {rounds}")
                shutil.rmtree(root / "infra", ignore_errors=True)
                anew.append(seconds(root, *SYNC))
                check.append(seconds(root, *SYNC, "--mode", "check"))
                if compose:
                    config.append(seconds(root, *CONFIG))
        report.state(f"sync {size} services anew", "s", anew, TARGETS.get(size))
        report.state(f"sync {size} services, mode=check", "s", check, TARGETS.get(size))
        if compose:
            name, peer = f"sync {size} services anew", "docker compose config"
            report.compare(name, "s", anew, peer, config, inverse=True)


def declare(root: Path, size: int) -> None:
    """Write a stack of that many services, each publishing one event and reading another."""
    events = max(1, size // 5)
    spec = root / "shared/spec/events.yaml"
    spec.parent.mkdir(parents=True)
    channels = (f"  event_{number}: {{address: event_{number}}}\n" for number in range(events))
    spec.write_text("channels:\n" + "".join(channels))
    services = (
        SERVICE.format(number=number, said=number % events, heard=(number + 1) % events)
        for number in range(size)
    )
    (root / "services.yml").write_text(HEAD + "".join(services))


def seconds(root: Path, *command: str) -> float:
    """Return how long a command takes; it has to succeed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def has_compose() -> bool:
    """Say whether docker compose is installed."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0
