"""Streams between commands and files: no size is too large for the memory, and nothing is half."""

import hashlib
import os
import subprocess
from pathlib import Path

from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json


def to_file(command: tuple[str, ...], path: Path) -> None:
    """Write what a command prints into a new file of mode 0600, durably.

    Raises:
        AgentError: The command failed.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        result = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)
        file.flush()
        os.fsync(descriptor)
    if result.returncode:
        raise AgentError(f"{' '.join(command[:2])} failed: {last_words(result.stderr)}")


def from_file(command: tuple[str, ...], path: Path) -> None:
    """Run a command whose input is a file.

    Raises:
        AgentError: The command failed.
    """
    with path.open("rb") as file:
        result = subprocess.run(command, stdin=file, capture_output=True, check=False)
    if result.returncode:
        raise AgentError(f"{' '.join(command[:2])} failed: {last_words(result.stderr)}")


def last_words(output: bytes) -> str:
    """Return the last line that a command wrote."""
    return (output.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            checksum.update(chunk)
    return checksum.hexdigest()


def damaged(folder: Path, facts: Json) -> list[str]:
    """Return the files of a backup that are not as they were written."""
    wanted: dict[str, str] = facts["files"]
    return [
        name
        for name, expected in wanted.items()
        if (folder / name).is_symlink()
        or not (folder / name).is_file()
        or digest(folder / name) != expected
    ]
