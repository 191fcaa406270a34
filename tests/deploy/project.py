"""A clone of this repository, changed, committed and deployed from with the real commands."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.release import checkout
from tests.processes import TOKEN

if TYPE_CHECKING:
    from tests.deploy.server import Server

SETTINGS = {"LOG_LEVEL": "INFO"}
HOST = "host=server"
SERVICES = {"redis", "postgres", "backend", "tg_bot"}
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.org")


class Project:
    """A checkout with an inventory of test servers, and everything secret outside of it."""

    def __init__(self, folder: Path, telegram: str, source: Path = checkout.ROOT) -> None:
        self.checkout = folder / "checkout"
        self.folder = folder
        self.telegram = telegram
        self.settings: dict[str, str] = dict(SETTINGS)
        self.data: dict[str, Any] = {}
        self.own: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, str] = {}
        self.servers: dict[str, Server] = {}
        git = ("git", "clone", "--quiet", str(source), str(self.checkout))
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

    def start(self, *words: str, program: str = "deploy") -> "subprocess.Popen[str]":
        """Start a verb, or another program with its words."""
        self.inventory()
        return subprocess.Popen(
            (sys.executable, "-m", program, *words),
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
        output, _ = process.communicate(stdin)
        return process.returncode, output

    def succeed(self, *words: str, stdin: str = "") -> str:
        """Do a verb that has to exit with 0; return what it said."""
        code, output = self.run(*words, stdin=stdin)
        assert code == 0, f"{' '.join(words)} exited with {code}:\n{output}"
        return output

    def pyinfra(self, recipe: str, *words: str) -> tuple[int, str]:
        """Have plain pyinfra run a recipe on the inventory; return what `run` does."""
        file = f"deploy/recipes/{recipe}.py"
        inventory = str(self.folder / "inventories/staging.py")
        process = self.start(*words, inventory, file, program="pyinfra")
        output, _ = process.communicate("")
        return process.returncode, output

    def set_secrets(self, token: str = TOKEN) -> None:
        """Make the environment's secrets."""
        self.succeed("secrets", "env=staging", "set=TELEGRAM_BOT_TOKEN", stdin=token)

    def git(self, *words: str) -> str:
        """Run git in the clone and return what it says."""
        command = ("git", *AUTHOR, *words)
        return subprocess.run(
            command, cwd=self.checkout, capture_output=True, text=True, check=True
        ).stdout.strip()

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that a file has once, and commit that."""
        text = (self.checkout / file).read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
        self.write(file, text.replace(old, new))

    def write(self, file: str, text: str) -> None:
        """Change a file and commit that; what is rendered from it follows."""
        (self.checkout / file).write_text(text)
        if file == "services.yml":
            sync = (sys.executable, "-m", "infra.stack", "sync")
            subprocess.run(
                sync, cwd=self.checkout, env=self.environment(), check=True, capture_output=True
            )
        self.git("commit", "--quiet", "--all", "--message", f"Change {file}")

    def new_version(self, service: str, mark: str) -> None:
        """Change a service's sources so that it is another image that does the same."""
        file = f"services/{service}/src/{service}/__init__.py"
        first = (self.checkout / file).read_text().splitlines()[0]
        self.write(file, f'{first}\n\nVERSION = "{mark}"\n')

    def rename_stores(self) -> None:
        """Call Redis `events` and PostgreSQL `store`, wherever services.yml names them."""
        self.write("services.yml", renamed((self.checkout / "services.yml").read_text()))

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Leave the clone as it was, whatever is committed inside the block."""
        before = self.git("rev-parse", "HEAD")
        try:
            yield
        finally:
            self.git("reset", "--quiet", "--hard", before)

    @contextmanager
    def other_settings(self, **settings: str) -> Iterator[None]:
        """Deploy with other settings inside the block: whoever reads them changes, and no image."""
        before = dict(self.settings)
        self.settings.update(settings)
        try:
            yield
        finally:
            self.settings = before


def renamed(text: str) -> str:
    """Return a services.yml with other names for its stores."""
    for old, new in (("redis", "events"), ("postgres", "store")):
        text = re.sub(rf"(?<!type: ){old}(?=:|$)", new, text, flags=re.MULTILINE)
    return text


def wait_for(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what a verb says until a line has this text."""
    for line in process.stdout or ():
        if text in line:
            return
    raise AssertionError(f"{text!r} was never said")
