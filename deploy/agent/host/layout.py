"""Where things are on the host, and writes that are either done or not.

ROOT/releases/<utc>-<sha>/   compose.yml, release.json
ROOT/current, ROOT/previous  links to a release
ROOT/secrets/                content-addressed secret files, 0700
ROOT/backups/                one folder a backup
ROOT/retention.json          how many backups are kept
ROOT/state/                  journal, lock, audit, the cut-over's output
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.agent.host import names
from deploy.agent.host.errors import AgentError

Json = dict[str, Any]
RAN = "ran"
"""The file in a release's folder that says that it passed its smoke test here."""


PROGRAM = "agent.pyz"
"""The agent that has written the journal, below the project's folder."""


@dataclass(frozen=True)
class Layout:
    """The paths below the project's folder on the host."""

    root: Path

    @property
    def releases(self) -> Path:
        """The folder of releases."""
        return self.root / "releases"

    @property
    def secrets(self) -> Path:
        """The folder of secret files."""
        return self.root / "secrets"

    @property
    def backups(self) -> Path:
        """The folder of backups."""
        return self.root / "backups"

    @property
    def state(self) -> Path:
        """The folder of what the agent remembers."""
        return self.root / "state"

    @property
    def journal(self) -> Path:
        """The unfinished cut-over, where there is one."""
        return self.state / "journal.json"

    @property
    def restoring(self) -> Path:
        """The unfinished restore, where there is one."""
        return self.state / "restore.json"

    @property
    def moving(self) -> Path:
        """The unfinished move of the data from one server to three, or back."""
        return self.state / "moving.json"

    @property
    def moved(self) -> Path:
        """Which server has this one's data, where that has moved."""
        return self.state / "moved.json"

    @property
    def ballast(self) -> Path:
        """Space that a cut-over holds, to be given up where the disk becomes full."""
        return self.state / "ballast"

    @property
    def lock(self) -> Path:
        """Who may deploy."""
        return self.state / "lock.json"

    @property
    def audit(self) -> Path:
        """One JSON line for each phase of everything that was done."""
        return self.state / "audit.jsonl"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.releases, self.state, self.backups):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)

    def linked(self, name: str) -> Path | None:
        """Return the release that `current` or `previous` points to, None where there is none."""
        link = self.root / name
        return link.resolve() if link.is_symlink() and link.resolve().is_dir() else None

    def link(self, name: str, release: Path) -> None:
        """Point `current` or `previous` to a release, in one step."""
        new = self.root / f".{name}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(release.relative_to(self.root))
        new.replace(self.root / name)
        sync_folder(self.root)

    def release(self, name: str) -> Path:
        """Return the folder of a release that is kept.

        Raises:
            AgentError: There is none of that name.
        """
        folder = self.releases / name
        if not (names.fits("release", name) and (folder / "release.json").is_file()):
            kept = ", ".join(path.name for path in self.kept()) or "none"
            raise AgentError(f"no release is called {name!r}; kept are: {kept}", os.EX_USAGE)
        return folder

    def kept(self) -> list[Path]:
        """Return the releases that have run on this host, oldest first."""
        return sorted(path.parent for path in self.releases.glob(f"*/{RAN}"))


def read_json(path: Path) -> Json | None:
    """Return the object in a file; None where there is no such file.

    Raises:
        AgentError: It holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise AgentError(f"{path} is damaged", os.EX_DATAERR)
    return content


def write_json(path: Path, content: Json) -> None:
    """Replace a file by an object in JSON; after a power cut it is the old one or the new one."""
    write_durably(path, (json.dumps(content, indent=1) + "\n").encode())


def write_durably(
    path: Path, content: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file; it never exists with another mode, or half."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        new.unlink()  # on a disk that is full it would take room
        raise
    new.replace(path)
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove a file, also from the disk."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
