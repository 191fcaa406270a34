"""Files as they were at a git revision."""

import os
import subprocess
from pathlib import Path

ELSEWHERE = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"})
"""Variables of an outer git, as in a hook: they would point ours to another repository."""


class UnknownRevisionError(Exception):
    """Git does not know the revision; the text says what to do."""


def common_base(root: Path, revision: str) -> str:
    """Return the commit at which the working tree's history left a revision's.

    What the other side has done since is not this side's doing. Where the two have no common
    commit, as in a shallow clone, the revision itself is the base.

    Raises:
        UnknownRevisionError: There is no such commit here, or the folder is no git repository.
    """
    commit = _git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if commit is None:
        if _git(root, "rev-parse", "--git-dir") is None:
            raise UnknownRevisionError(
                f"{root} is no git repository, so there is nothing to compare with"
            )
        raise UnknownRevisionError(
            f"git knows no revision {revision!r}; fetch it, for example with "
            "'git fetch origin main', or name another with base=…"
        )
    base = _git(root, "merge-base", commit.strip(), "HEAD") or commit
    return base.strip()


def file_at(root: Path, revision: str, path: Path) -> str | None:
    """Return the text of a file below the root at a revision; None where it was not there."""
    return _git(root, "show", "--end-of-options", f"{revision}:./{path.as_posix()}")


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails."""
    command = ("git", "-C", str(root), "--no-pager", *arguments)
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        finished = subprocess.run(command, env=environment, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UnknownRevisionError(
            "git is not installed, so there is nothing to compare with"
        ) from error
    if finished.returncode:
        return None
    return finished.stdout.decode("utf-8", errors="replace")
