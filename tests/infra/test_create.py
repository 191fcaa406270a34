"""mode=create: a newly listed service lints, types, passes its tests and starts, untouched."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from infra.stack import Plan, load_plan
from infra.stack.scaffold import create
from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import StreamBroker
from tests.conditions import eventually
from tests.databases import database_url, postgres, sqlite_url
from tests.infra.stack import STACK
from tests.servers import RedisServer, free_port

__all__ = ["database_url", "postgres", "sqlite_url"]

ROOT = Path(__file__).resolve().parents[2]
NEW = """
  - name: audit
    type: python-faststream
    depends_on: {redis: service_healthy}
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
  - name: shop
    type: python-fastapi
    description: Sells things, and says "hello".
    depends_on: [redis]
    env: {REDIS_URL: {from: redis}, SHOP_KEY: {secret: true, description: Key of the shop.}}
    publishes: [command_received]
    subscribes: [command_received]
  - name: web
    type: python-fastapi
  - name: ticker
    type: python
    env: {TICK_EVERY: {default: 10s, description: Time between two ticks.}}
  - name: crier
    type: python
    health: {http: /health, port: 8080}
    env: {REDIS_URL: {from: redis}, HEALTH_PORT: {from: self.health_port}}
    publishes: [command_received]
  - name: ledger
    type: python-faststream
    depends_on: [redis, postgres]
    env: {REDIS_URL: {from: redis}, DATABASE_URL: {from: postgres}}
    subscribes: [command_received]
  - name: stock
    type: python-fastapi
    depends_on: [redis, postgres]
    env: {REDIS_URL: {from: redis}, STOCK_DATABASE: {from: postgres}}
    subscribes: [command_received]
  - name: desk
    type: python-fastapi
    depends_on: [postgres]
    env: {DATABASE_URL: {from: postgres}}
"""
NAMES = ["audit", "shop", "web", "ticker", "crier", "ledger", "stock", "desk"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path, list[str]]:
    """A repository with five new services, one of each kind; what was created for them."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("shared", "pyproject.toml", "requirements-dev.txt", "infra"):
        (root / name).symlink_to(ROOT / name)
    text = STACK.read_text(encoding="utf-8") + NEW
    (root / "services.yml").write_text(text, encoding="utf-8")
    for service in ("backend", "tg_bot", "telegram_sim"):
        (root / "services" / service).mkdir(parents=True)
        (root / "services" / service / "pyproject.toml").touch()
        (root / "services" / service / "requirements.txt").touch()
    for name in NAMES:  # locking asks the package index, which is no part of these claims
        (root / "services" / name).mkdir()
        (root / "services" / name / "requirements.txt").write_text("# mine\n")
    plan = load_plan(root / "services.yml")
    return plan, root, create(plan, root)


def run(root: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one tool in the repository, with the new packages importable."""
    sources = os.pathsep.join(str(root / "services" / name / "src") for name in NAMES)
    path = os.pathsep.join([sources, str(ROOT / "shared/src")])
    env = {**os.environ, "PYTHONPATH": path, "MYPYPATH": path, **variables}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_create_makes_what_a_service_needs(made: tuple[Plan, Path, list[str]]) -> None:
    """Package, image, page and a test; for a subscriber its handlers as well."""
    _, _, created = made
    for name in NAMES:
        for file in ("pyproject.toml", "AGENTS.md", f"tests/test_{name}.py"):
            assert f"services/{name}/{file}" in created
    assert "services/audit/src/audit/handlers.py" in created
    assert "services/ticker/src/ticker/handlers.py" not in created


def test_create_never_touches_what_is_there(made: tuple[Plan, Path, list[str]]) -> None:
    """A second run creates nothing, and a file of ours is as it was."""
    plan, root, _ = made
    assert create(plan, root) == []
    assert (root / "services/audit/requirements.txt").read_text() == "# mine\n"


def test_what_is_created_lints(made: tuple[Plan, Path, list[str]]) -> None:
    """Ruff has nothing to say, neither of style nor of form."""
    _, root, created = made
    python = [path for path in created if path.endswith(".py")]
    for command in (("check", "--no-cache"), ("format", "--check", "--no-cache")):
        finished = run(root, "ruff", *command, *python)
        assert finished.returncode == 0, finished.stdout


@pytest.mark.timeout(400)
def test_what_is_created_type_checks(made: tuple[Plan, Path, list[str]]) -> None:
    """Mypy in strict mode finds nothing."""
    _, root, _ = made
    packages = [part for name in NAMES for part in ("-p", name)]
    finished = run(root, "mypy", "--cache-dir", str(root / ".mypy"), *packages)
    assert finished.returncode == 0, finished.stdout


@pytest.mark.timeout(400)
def test_their_own_tests_pass(made: tuple[Plan, Path, list[str]]) -> None:
    """The tests that come with a new service pass as they are."""
    _, root, _ = made
    suites = [f"services/{name}/tests" for name in NAMES]
    finished = run(root, "pytest", "-q", "-p", "no:cacheprovider", *suites)
    assert finished.returncode == 0, finished.stdout


async def test_a_new_subscriber_starts_healthy_and_handles_an_event(
    made: tuple[Plan, Path, list[str]], redis_server: RedisServer
) -> None:
    """Its process answers 200, logs the event, counts it in its metrics, and ends with 0."""
    _, root, _ = made
    with started(root, "audit", HEALTH_PORT="{port}", REDIS_URL=redis_server.url) as service:
        await eventually(service.is_healthy)
        await publish(redis_server, "the-event")
        await eventually(lambda: '"the-event"' in service.log)
        await eventually(lambda: service.has_handled(1))
        assert await asyncio.to_thread(service.end) == 0


@pytest.mark.parametrize(
    "worker",
    [("ledger", "DATABASE_URL", "HEALTH_PORT"), ("stock", "STOCK_DATABASE", "HTTP_PORT")],
    ids=lambda worker: str(worker[0]),
)
async def test_a_new_worker_with_a_table_keeps_an_event_once(
    worker: tuple[str, str, str],
    database_url: str,
    made: tuple[Plan, Path, list[str]],
    redis_server: RedisServer,
) -> None:
    """On either database: it makes its tables, keeps what is published, and undoes on demand."""
    _, root, _ = made
    name, variable, port = worker
    variables = {variable: database_url, "REDIS_URL": redis_server.url, port: "{port}"}
    with started(root, name, **variables) as service:
        await eventually(service.is_healthy)
        await publish(redis_server, "kept", "smoke", "kept")
        pending = partial(redis_server.client().xinfo_groups, "command_received")
        await eventually(lambda: pending()[0]["entries-read"] == 2 and not pending()[0]["pending"])
        await eventually(lambda: service.has_handled(2))
        assert await asyncio.to_thread(service.undo, "smoke") == "1\n"
        assert await asyncio.to_thread(service.undo, "smoke") == "0\n"
        assert await asyncio.to_thread(service.undo, "kept") == "1\n"
        assert await asyncio.to_thread(service.end) == 0


async def publish(redis_server: RedisServer, *event_ids: str) -> None:
    """Publish a command under each id."""
    broker = StreamBroker()
    await broker.connect(redis_server.url)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    event = CommandReceived(command="/command x", args=["x"], user_id=1, timestamp=moment)
    for event_id in event_ids:
        await broker.publish_event(command_received, event, event_id=event_id)
    await broker.close()


class Created:
    """A service that was created, as a process with its log in a file."""

    def __init__(self, root: Path, name: str, variables: dict[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self._log = root / f"{name}.log"
        sources = f"{root}/services/{name}/src{os.pathsep}{ROOT}/shared/src"
        self.env = {"PATH": os.environ["PATH"], "PYTHONPATH": sources, "LOG_FORMAT": "json"}
        self.env["HTTP_HOST"] = "127.0.0.1"
        self.env |= {key: value.format(port=self.port) for key, value in variables.items()}
        with self._log.open("wb") as stream:
            command = [sys.executable, "-m", name]
            self.process = subprocess.Popen(command, env=self.env, stdout=stream, stderr=stream)

    @property
    def log(self) -> str:
        """Return what it has written."""
        return self._log.read_text()

    def is_healthy(self) -> bool:
        """Say whether /health answers 200."""
        assert self.process.poll() is None, self.log
        return healthy(self.port)

    def has_handled(self, count: int) -> bool:
        """Say whether /metrics tells of so many deliveries, and of a group that has no lag."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        handled = rf'processed_messages_total{{[^}}]*"{self.name}"[^}}]*"acked"[^}}]*}} {count}\.0'
        lag = rf'herald_group_lag_entries{{group="{self.name}",stream="command_received"}} 0\.0'
        return all(re.search(line, text) for line in (handled, lag))

    def undo(self, event_id: str) -> str:
        """Have it undo an event, and return what that prints."""
        command = [sys.executable, "-m", f"{self.name}.undo", event_id]
        return subprocess.run(
            command, env=self.env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def started(root: Path, name: str, **variables: str) -> Iterator[Created]:
    """Run a service; `{port}` in a variable is the port where its /health is."""
    service = Created(root, name, variables)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def healthy(port: int) -> bool:
    """Say whether /health answers 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
