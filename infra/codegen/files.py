"""Generated files: what differs from the tree, and writing it."""

import difflib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MODE = 0o644


@dataclass(frozen=True)
class Change:
    """A generated file that is not in the tree as it should be.

    Attributes:
        path: The file, relative to the repository.
        old: Its text now; None where it is missing.
        new: Its text as generated; None where no spec makes it any more.
    """

    path: Path
    old: str | None
    new: str | None

    @property
    def diff(self) -> str:
        """Return the change as a unified diff."""
        name = self.path.as_posix()
        before, after = self.old or "", self.new or ""
        return "".join(
            difflib.unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                "/dev/null" if self.old is None else f"a/{name}",
                "/dev/null" if self.new is None else f"b/{name}",
            )
        )


def changes(root: Path, wanted: dict[Path, str], folders: Iterable[Path]) -> list[Change]:
    """Return what must change so that the tree holds the wanted files.

    Args:
        root: The repository.
        wanted: Text of each generated file, by its path relative to the root.
        folders: Folders, relative to the root, in which every module is generated: what
            stands there and is not wanted has lost its spec.
    """
    found = [Change(path, _text(root / path), text) for path, text in sorted(wanted.items())]
    orphans = (
        path.relative_to(root)
        for folder in sorted(set(folders))
        for path in sorted((root / folder).glob("*.py"))
    )
    found += [Change(path, _text(root / path), None) for path in orphans if path not in wanted]
    return [change for change in found if change.old != change.new]


def write(root: Path, change: Change) -> None:
    """Carry out one change; a reader sees the whole old file or the whole new one."""
    path = root / change.path
    if change.new is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(change.new)
        Path(temporary).chmod(MODE)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
