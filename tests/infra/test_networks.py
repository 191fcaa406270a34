"""Who can connect to whom: tried with real containers on the rendered networks."""

import ipaddress
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from infra.stack import Plan, load_plan
from infra.stack.compose.networks import providers_of, reached
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
WORLD = "world"
"""A listener that is none of the stack's, at a published port of the machine."""
SIDECAR = """
  - name: audit
    type: python-faststream
    depends_on: [redis]
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Our own stack with one more service beside the backend at Redis."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "shared").symlink_to(ROOT / "shared")
    path = folder / "services.yml"
    path.write_text(STACK.read_text(encoding="utf-8") + SIDECAR)
    return load_plan(path)


class Stack:
    """The networks of the tests overlay with a listener in place of every container."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.ports = {part.name: part.port for part in plan.infrastructure}
        self.ports |= {service.name: service.port or 8080 for service in plan.running("tests")}
        self._file = folder / "compose.yml"
        self._file.write_text(json.dumps(self._document()), encoding="utf-8")

    def _document(self) -> dict[str, Any]:
        from infra.stack.compose.documents import compose_files  # noqa: PLC0415  near its one use

        rendered = compose_files(self.plan)["tests"]
        listeners = {
            name: {
                "image": "redis:8",
                "command": self._listen(name),
                "networks": container["networks"],
                **({"ports": container["ports"]} if "ports" in container else {}),
            }
            for name, container in rendered["services"].items()
        }
        public = ["redis-server", "--save", "", "--protected-mode", "no"]
        world = {"image": "redis:8", "command": public, "networks": [WORLD], "ports": ["6379"]}
        return {
            "name": f"herald-networks-{secrets.token_hex(3)}",
            "networks": rendered["networks"] | {WORLD: {}},
            "services": listeners | {WORLD: world},
        }

    def _listen(self, name: str) -> list[str]:
        """A service that serves nothing listens on loopback only, as ours do."""
        serves = any(service.name == name and service.port for service in self.plan.services)
        public = serves or name in {part.name for part in self.plan.infrastructure}
        bind = ["--protected-mode", "no"] if public else ["--bind", "127.0.0.1"]
        return ["redis-server", "--port", str(self.ports[name]), "--save", "", *bind]

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run docker compose on it."""
        command = ["docker", "compose", "--file", str(self._file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)

    def connects(self, source: str, target: str, within: float) -> bool:
        """Say whether a container gets an answer from another one, within some seconds."""
        return self._asks(source, target, self.ports[target], within)

    def gets_out(self, source: str, within: float) -> bool:
        """Say whether a container gets an answer from outside of the stack's networks."""
        bridge = subprocess.run(
            ["docker", "network", "inspect", "bridge"], capture_output=True, check=True
        )
        (network,) = json.loads(bridge.stdout)
        machine = next(ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"]).hosts())
        published = self.compose("port", WORLD, "6379").stdout.rpartition(":")[2]
        return self._asks(source, str(machine), int(published), within)

    def _asks(self, source: str, host: str, port: int, within: float) -> bool:
        """Ask once, and again while there is time: what has been started may not listen yet."""
        ask = ("timeout", "2", "redis-cli", "-h", host, "-p", str(port), "ping")
        deadline = monotonic() + within
        while self.compose("exec", "-T", source, *ask).stdout.strip() != "PONG":
            if monotonic() > deadline:
                return False
        return True


@pytest.fixture(scope="module")
def stack(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The listeners, running."""
    there = (
        shutil.which("docker")
        and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    )
    if not there and os.environ.get("CI") != "true":
        pytest.skip("no Docker engine answers; get one with: make docker-engine")
    stack = Stack(plan, tmp_path_factory.mktemp("networks"))
    started = stack.compose("up", "--detach", "--wait")
    try:
        assert started.returncode == 0, started.stderr
        yield stack
    finally:
        stack.compose("down", "--timeout", "0", "--volumes")


def patience(expected: bool) -> float:  # noqa: FBT001 — what it depends on
    """Return the seconds that an answer may take; one that must not come is asked for once."""
    return 30 if expected else 0


def test_a_service_reaches_what_it_depends_on_and_nothing_else(stack: Stack) -> None:
    """Every pair is tried: what follows from the graph connects, everything else is refused."""
    providers = providers_of(stack.plan)
    wanted = {
        (service.name, target)
        for service in stack.plan.running("tests")
        for target in reached(service, providers, "tests")
    }
    names = [service.name for service in stack.plan.running("tests")]
    tried = {(a, b) for a in names for b in stack.ports if a != b}
    with ThreadPoolExecutor(8) as attempts:
        answers = attempts.map(
            lambda pair: stack.connects(pair[0], pair[1], patience(pair in wanted)), tried
        )
        connected = {pair for pair, answer in zip(tried, answers, strict=True) if answer}
    assert connected == wanted
    assert ("audit", "backend") in tried - wanted
    assert ("tg_bot", "postgres") in tried - wanted


def test_redis_and_postgres_have_no_way_out(stack: Stack) -> None:
    """Nor has a worker without egress; a container on an ordinary network gets out."""
    names = ["redis", "postgres", "audit", WORLD]
    assert [name for name in names if stack.gets_out(name, patience(name == WORLD))] == [WORLD]


@pytest.mark.parametrize("overlay", ["base", "tests", "prod"])
def test_the_committed_files_keep_redis_and_postgres_inside(overlay: str) -> None:
    """In every overlay their networks are internal ones."""
    document = yaml.safe_load((ROOT / f"infra/compose.{overlay}.yml").read_text())
    there = [name for name in ("redis", "postgres") if name in document["services"]]
    assert there
    for name in there:
        for network in document["services"][name]["networks"]:
            assert document["networks"][network] == {"internal": True}
