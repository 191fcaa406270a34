"""A release's Compose file, as the `docker compose` on the host reads it."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.agent.host.docker import run

FIREWALL = "/usr/local/sbin/herald-firewall"


@dataclass(frozen=True)
class Stack:
    """A release's Compose file, and the project that it describes."""

    project: str
    folder: Path

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run one Compose command and return what it printed."""
        file = str(self.folder / "compose.yml")
        place = ("--project-name", self.project, "--project-directory", str(self.folder))
        # An .env of the folder would change what the file says: there is none to be read.
        return run(
            "docker",
            "compose",
            *place,
            "--env-file",
            os.devnull,
            "-f",
            file,
            *arguments,
            timeout=timeout,
        )

    def hashes(self) -> dict[str, str]:
        """Return the configuration hash of each service."""
        words = self.compose("config", "--hash", "*").split()
        return dict(zip(words[::2], words[1::2], strict=True))

    def create(self, scales: Mapping[str, int]) -> None:
        """Create containers until each service has so many; those that are there stay.

        They are not started. All services are scaled at once: one that is left out goes back to
        its own number as soon as it is another one's dependency.
        """
        scaled = [word for name, scale in scales.items() for word in ("--scale", f"{name}={scale}")]
        only = ("--no-recreate", "--no-build", "--pull", "never")
        if scales:
            self.compose("create", *only, *scaled, *scales)
            let_networks_out()


def let_networks_out() -> None:
    """Tell the host's firewall of Docker's bridges, where it has the one that provision made.

    It drops what comes from an interface that it does not know. An earlier one wants to be told
    what its rules are called.
    """
    path = Path(FIREWALL)
    if path.exists():
        run(FIREWALL, "apply", hashlib.sha256(path.read_bytes()).hexdigest()[:12])
