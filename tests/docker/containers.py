"""The docker command for tests: containers, volumes and networks that are gone afterwards."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

DEADLINE = 60.0
# What Compose takes from our containers; the official images are known to work without it.
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
OWNER = ("stat", "--format", "%u:%g")


class Engine:
    """The docker command, and what one test started with it."""

    def __init__(self) -> None:
        self.containers: list[str] = []
        self.volumes: list[str] = []
        self.networks: list[str] = []

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run docker and return how it went."""
        command = ("docker", *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str) -> str:
        """Run docker, which must succeed, and return what it printed."""
        result = self.command(*arguments)
        assert result.returncode == 0, f"docker {arguments}: {result.stderr or result.stdout}"
        return result.stdout.strip()

    def once(self, image: str, *options: str, run: tuple[str, ...]) -> str:
        """Run a command in a container of its own and return what it printed."""
        return self("run", "--rm", *options, image, *run)

    def start(self, image: str, *options: str, run: tuple[str, ...] = ()) -> str:
        """Start a container and return its name."""
        name = unique()
        self.containers.append(name)
        self("run", "--detach", "--name", name, *options, image, *run)
        return name

    def volume(self) -> str:
        """Return a volume that nobody used before."""
        name = unique()
        self.volumes.append(name)
        return self("volume", "create", name)

    def network(self) -> str:
        """Return a network that nobody else is in."""
        name = unique()
        self.networks.append(name)
        self("network", "create", name)
        return name

    def inside(self, container: str, *run: str) -> str:
        """Run a command in a running container and return what it printed."""
        return self("exec", container, *run)

    def image(self, name: str) -> dict[str, Any]:
        """Return the settings that an image gives its containers."""
        settings: dict[str, Any] = json.loads(self("image", "inspect", name))[0]["Config"]
        return settings

    def logs(self, container: str) -> str:
        """Return everything a container printed."""
        result = self.command("logs", container)
        return result.stdout + result.stderr

    def exit_code(self, container: str) -> int:
        """Wait for a container's end and return its exit code."""
        return int(self("wait", container))

    def clean(self) -> None:
        """Remove what the test left."""
        for name in self.containers:
            self.command("rm", "--force", "--volumes", name)
        for name in self.volumes:
            self.command("volume", "rm", "--force", name)
        for name in self.networks:
            self.command("network", "rm", name)


def unique() -> str:
    """Return a name that nobody has."""
    return f"herald-check-{uuid.uuid4().hex[:12]}"


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: It did not become true in time.
    """
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not happen within {DEADLINE:.0f} s")
        time.sleep(0.1)
