"""mode=create: a newly listed service lints, types, passes its tests and starts, untouched."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.stack import Plan, load_plan
from infra.stack.scaffold import create
from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import StreamBroker
from tests.servers import RedisServer, free_port

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
"""
NAMES = ["audit", "shop", "web", "ticker", "crier"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path, list[str]]:
    """A repository with five new services, one of each kind; what was created for them."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("shared", "pyproject.toml", "requirements-dev.txt", "infra"):
        (root / name).symlink_to(ROOT / name)
    text = (ROOT / "services.yml").read_text(encoding="utf-8") + NEW
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
    """Its process answers 200, logs the event that is published, and ends with 0 on SIGTERM."""
    _, root, _ = made
    port = free_port()
    sources = f"{root}/services/audit/src{os.pathsep}{ROOT}/shared/src"
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": sources,
        "REDIS_URL": redis_server.url,
        "HEALTH_PORT": str(port),
        "LOG_FORMAT": "json",
    }
    log = root / "audit.log"
    process = start(log, env)
    try:
        await until(lambda: healthy(port))
        broker = StreamBroker()
        await broker.connect(redis_server.url)
        event = CommandReceived.model_validate(
            {
                "command": "/command x",
                "args": ["x"],
                "user_id": 1,
                "timestamp": "2026-01-01T00:00:00Z",
            }
        )
        await broker.publish_event(command_received, event, event_id="the-event")
        await broker.close()
        await until(lambda: '"the-event"' in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        process.kill()


def start(log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the service with its log in a file."""
    with log.open("wb") as stream:
        return subprocess.Popen([sys.executable, "-m", "audit"], env=env, stderr=stream)


def healthy(port: int) -> bool:
    """Say whether /health answers 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 40
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
