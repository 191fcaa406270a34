"""A clone of this repository, deployed from with the real commands."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.release import checkout
from tests.processes import TOKEN

if TYPE_CHECKING:
    from tests.deploy.server import Server

SETTINGS = {"LOG_LEVEL": "INFO"}


class Project:
    """A checkout with an inventory of test servers, and everything secret outside of it."""

    def __init__(self, folder: Path, telegram: str) -> None:
        self.checkout = folder / "checkout"
        self.folder = folder
        self.telegram = telegram
        self.settings: dict[str, str] = dict(SETTINGS)
        self.data: dict[str, Any] = {}
        self.own: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, str] = {}
        self.servers: dict[str, Server] = {}
        git = ("git", "clone", "--quiet", str(checkout.ROOT), str(self.checkout))
        subprocess.run(git, check=True)

    def inventory(self) -> None:
        """Write the inventory anew."""
        (self.folder / "inventories").mkdir(exist_ok=True)
        settings = {"TELEGRAM_API_URL": self.telegram, **self.settings}
        hosts = [
            (
                name,
                {
                    "ssh_hostname": "127.0.0.1",
                    "ssh_port": server.port,
                    "ssh_user": "root",
                    "ssh_key": str(server.key),
                    "ssh_known_hosts_file": str(server.known_hosts),
                    "settings": settings,
                    **self.data,
                    **self.own.get(name, {}),
                },
            )
            for name, server in self.servers.items()
        ]
        (self.folder / "inventories/staging.py").write_text(f"hosts = {hosts!r}\n")

    def environment(self) -> dict[str, str]:
        """Return the environment of a command."""
        return {
            **os.environ,
            "HERALD_INVENTORIES": str(self.folder),
            "HERALD_SECRETS": str(self.folder / "vault"),
            "HERALD_AGE_KEY": str(self.folder / "age.key"),
            "PYTHONPATH": str(self.checkout),
            **self.variables,
        }

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a verb."""
        self.inventory()
        return subprocess.Popen(
            (sys.executable, "-m", "deploy", *words),
            cwd=self.checkout,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, stdin: str = "") -> tuple[int, str]:
        """Do a verb; return its exit code and all that it said."""
        process = self.start(*words)
        told, _ = process.communicate(stdin)
        return process.returncode, told

    def succeed(self, *words: str, stdin: str = "") -> str:
        """Do a verb that has to exit with 0; return what it said."""
        code, told = self.run(*words, stdin=stdin)
        assert code == 0, f"{' '.join(words)} exited with {code}:\n{told}"
        return told

    def commit(self, message: str) -> None:
        """Commit everything that was changed in the checkout."""
        who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
        git = ("git", *who, "commit", "--quiet", "--all", "--message", message)
        subprocess.run(git, cwd=self.checkout, check=True)

    def set_secrets(self, token: str = TOKEN) -> None:
        """Make the environment's secrets."""
        self.succeed("secrets", "env=staging", "set=TELEGRAM_BOT_TOKEN", stdin=token)
