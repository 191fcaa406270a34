"""Three servers on a private network, of the rendered Compose file: a network namespace each.

A server is a container that holds an address on one Docker network; the stores of the example
`bot_on_three_servers` share its network as they share a real server's. A power cut takes the link
first and the processes afterwards: a SIGKILL alone still delivers what is in the sockets' buffers.
"""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import redis
import yaml

from infra.stack import load_plan
from infra.stack.compose.secret_folder import fill
from infra.stack.examples import EXAMPLES

EXAMPLE = EXAMPLES / "bot_on_three_servers"
STORES = {
    "redis": ("redis", "redis_sentinel"),
    "postgres": ("postgres", "postgres_etcd"),
}
NAME = "redis"
SENTINEL_PORT = 26379
DEADLINE = 180.0
AWAY = (
    redis.RedisError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What asking a store may end with while another one takes over."""


def until(condition: Callable[[], object], what: str, within: float = DEADLINE) -> None:
    """Wait until something is true; what fails with the network meanwhile is not true yet.

    Raises:
        TimeoutError: It did not become true in time.
    """
    deadline = time.monotonic() + within
    while True:
        with suppress(*AWAY):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: did not happen within {within:.0f} s")
        time.sleep(0.2)


def docker(*words: str) -> str:
    """Run docker, which must succeed; return what it printed."""
    done = subprocess.run(("docker", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {words}: {done.stderr or done.stdout}"
    return done.stdout.strip()


def image(target: str) -> str:
    """Build one of the stack's images; return its name. What was built before is there already."""
    name = f"herald-scale/{target}"
    folder = EXAMPLES.parents[0] / "images"
    docker("build", "--quiet", "--target", target, "--tag", name, str(folder))
    return name


@dataclass
class Servers:
    """Three servers, the stores of one kind on each.

    Attributes:
        folder: Where the secrets are.
        kind: `redis` or `postgres`.
    """

    folder: Path
    kind: str
    name: str = field(default_factory=lambda: f"herald-scale-{secrets.token_hex(4)}")
    addresses: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Make network, addresses, secrets and images; nothing runs yet."""
        fill(load_plan(EXAMPLE / "services.yml"), self.folder / "secrets")
        self.images = {f"{self.kind.upper()}_IMAGE": image(f"{self.kind}_copies")}
        docker("network", "create", "--subnet", _subnet(), self.name)
        (facts,) = json.loads(docker("network", "inspect", self.name))
        prefix = facts["IPAM"]["Config"][0]["Subnet"].rpartition(".")[0]
        self.addresses = [f"{prefix}.{10 + number}" for number in range(3)]
        for number, address in enumerate(self.addresses):
            where = ("--network", self.name, "--ip", address, "--name", self.server(number))
            what = next(iter(self.images.values()))
            docker("run", "--detach", *where, "--entrypoint", "sleep", what, "infinity")

    def server(self, number: int) -> str:
        """Return the name of the container that stands for a server."""
        return f"{self.name}-{number}"

    def compose(self, number: int, *words: str, founder: str = "") -> None:
        """Run docker compose on a server's file."""
        rendered = yaml.safe_load((EXAMPLE / "infra/compose.prod.yml").read_text(encoding="utf-8"))
        del rendered["networks"]  # the services', which are not started
        rendered["services"] = {
            name: {**rendered["services"][name], "network_mode": f"container:{self.server(number)}"}
            for name in STORES[self.kind]
        }
        file = self.folder / f"compose-{number}.yml"
        file.write_text(yaml.safe_dump(rendered), encoding="utf-8")
        env = {**os.environ, **self.images, "SECRETS_DIR": str(self.folder / "secrets")}
        env |= {"MEMBER": self.addresses[number], "FOUNDER": founder}
        env |= {f"MEMBER_{place + 1}": address for place, address in enumerate(self.addresses)}
        command = ["docker", "compose", "--project-name", self.server(number)]
        command += ["--file", str(file), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, done.stderr

    def up(self, number: int, *names: str, founder: str = "") -> None:
        """Start the stores of a server, or some of them."""
        wanted = names or STORES[self.kind]
        self.compose(number, "up", "--detach", "--no-deps", *wanted, founder=founder)

    def begin(self) -> None:
        """Bring three servers up for the first time, the first one as the founder."""
        for number in range(3):
            self.up(number, founder=self.addresses[0])

    def cut(self, number: int) -> None:
        """Take a server off the network; what runs on it goes on."""
        docker("network", "disconnect", "--force", self.name, self.server(number))

    def join(self, number: int) -> None:
        """Put it on the network again, at its address."""
        docker("network", "connect", "--ip", self.addresses[number], self.name, self.server(number))

    def power_cut(self, number: int, *, disk: bool = True) -> None:
        """End a server, the link first; without `disk` what its stores keep is gone too."""
        self.cut(number)
        self.compose(number, "kill", *STORES[self.kind])
        self.compose(number, "rm", "--force", *STORES[self.kind])
        if not disk:
            for volume in self.volumes(number):
                docker("volume", "rm", volume)

    def volumes(self, number: int) -> list[str]:
        """Return the volumes of a server."""
        own = f"label=com.docker.compose.project={self.server(number)}"
        return docker("volume", "ls", "--quiet", "--filter", own).split()

    def logs(self, number: int, name: str) -> str:
        """Return what one of a server's containers has printed."""
        done = subprocess.run(
            ("docker", "logs", f"{self.server(number)}-{name}-1"),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def secret(self, name: str) -> str:
        """Return a secret."""
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").strip()

    def clean(self) -> None:
        """Remove everything."""
        for number in range(3):
            own = f"label=com.docker.compose.project={self.server(number)}"
            there = docker("ps", "--all", "--quiet", "--filter", own).split()
            docker("rm", "--force", "--volumes", self.server(number), *there)
            if left := self.volumes(number):
                docker("volume", "rm", *left)
        docker("network", "rm", self.name)


def _subnet() -> str:
    """Return a subnet for a test; Docker says where it is taken."""
    return f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24"
