"""Backups from the deployer's side: made on a host, copied here, put in place there.

FOLDER/<host>/<backup>/   redis.rdb, postgres.dump, backup.json with their hashes; 0600
"""

import json
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from deploy import commands
from deploy.agent.host import names
from deploy.agent.host.files import damaged, digest
from deploy.errors import DataError, RemoteError, UnavailableError, UsageError
from deploy.heartbeat import locked
from deploy.inventory import Host, expanded
from deploy.remote import Remote
from deploy.running import followed

Say = Callable[[str], None]
FACTS = "backup.json"
CHUNK = 1 << 18


def backup(host: Host, who: str, to: str, say: Say, *, dry: bool) -> int:
    """Save Redis and PostgreSQL into a folder on the host; copy it into a folder here if asked."""
    with Remote(host) as remote:
        first = commands.preflight(host)
        if dry:
            say(remote.agent("backup", "--dry", first=first).strip())
            if to:
                say(f"would copy it into {expanded(to) / host.name}")
            return 0
        remote.run(first)
        with locked(remote, who, "backup"):
            remote.install_agent()
            code = remote.agent_stream(("--who", who, "backup"), say)
            if code or not to:
                return code
            name = remote.status("")["backups"][-1]
            fetch(remote, name, expanded(to), say)
    return 0


def restore(host: Host, who: str, source: str, say: Say, *, dry: bool) -> int:
    """Put the data of a backup in place of today's, which is backed up first.

    Args:
        host: Where.
        who: Who asks.
        source: A backup on the host, or a folder here: that has a slash in it.
        say: Told what happens.
        dry: Say what would be done; nothing is changed.
    """
    with Remote(host) as remote:
        first = commands.preflight(host)
        if not source:
            found = remote.status("", first=first)["backups"]
            raise UsageError(f"say which: from=NAME; there are: {', '.join(found) or 'none'}")
        if dry and "/" in source:
            folder = expanded(source)
            facts = checked(folder)
            say(f"would send the backup of {facts['at']}, {size(folder, facts)} bytes, and")
            say("stop the services, back up today's data, put the sent one in its place")
            return 0
        if dry:
            say(remote.agent("restore", source, "--dry", first=first).strip())
            return 0
        remote.run(first)
        with locked(remote, who, f"restore of {source}"):
            name = send(remote, expanded(source), say) if "/" in source else source
            remote.install_agent()
            return followed(remote, ("--who", who, "begin-restore", name), say)


def seed(remote: Remote, release: str, source: str, who: str, say: Say) -> None:
    """Give a host's first release its data, before the release starts.

    Raises:
        DeployError: It could not be done; nothing runs.
    """
    name = send(remote, expanded(source), say)
    words = ("--who", who, "begin-restore", name, "--release", release)
    if code := followed(remote, words, say):
        raise RemoteError("the backup could not be put in place; nothing runs", code)


def fetch(remote: Remote, name: str, folder: Path, say: Say) -> Path:
    """Copy a backup from the host into a folder here; it is there whole, or not at all.

    Raises:
        DeployError: The folder cannot be written, or what came is not what the host has saved.
    """
    if not names.fits("backup", name):
        raise DataError(f"{remote.host.name} calls its backup {name!r}, which is no backup's name")
    target = folder / remote.host.name / name
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        process = remote.send_back(commands.read_backup(remote.host, name))
        if process.stdout is None:
            raise AssertionError("a pipe was asked for")
        try:
            unpack(process.stdout, partial)
        except tarfile.TarError:
            process.stdout.close()
        _, words = process.communicate()
        if process.returncode:
            raise remote.failure(process.returncode, words.decode(errors="replace"))
        facts = checked(partial)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except OSError as error:
        raise UnavailableError(f"{error.filename or partial}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"copied to {target}: {size(target, facts)} bytes, hashes are right")
    return target


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Unpack a backup's files as they come, nothing else; each is 0600 from birth, and durable."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = Path(member.name).name
            ours = name == FACTS or names.fits("file of a backup", name)
            content = archive.extractfile(member) if ours and member.isreg() else None
            if content is None:
                continue
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
                file.flush()
                os.fsync(descriptor)


def send(remote: Remote, folder: Path, say: Say) -> str:
    """Put a backup of a folder here on the host; return its name there.

    The name has its moment and a digest of it, so that the same one is sent once, and none takes
    another one's place.

    Raises:
        DeployError: The backup is damaged, or could not be sent.
    """
    facts = checked(folder)
    moment = str(facts["at"]).replace("-", "").replace(":", "")
    name = f"{moment}-{digest(folder / FACTS)[:8]}"
    if name in remote.status("")["backups"]:
        return name
    say(f"sending {size(folder, facts)} bytes")
    process = remote.receive(commands.receive_backup(remote.host, name))
    if process.stdin is None:
        raise AssertionError("a pipe was asked for")
    try:
        with tarfile.open(fileobj=process.stdin, mode="w|") as archive:
            for one in (*facts["files"], FACTS):
                archive.add(folder / one, one)
        process.stdin.close()
    except BrokenPipeError:
        say("the host has closed the connection")
    process.stdin = None
    _, words = process.communicate()
    if process.returncode:
        raise remote.failure(process.returncode, words.decode(errors="replace"))
    return name


def checked(folder: Path) -> dict[str, Any]:
    """Return what a backup here says of itself, if it is whole.

    Raises:
        UsageError: The folder is no backup.
        DataError: A file is missing, or not as it was saved.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"{folder} is no backup: it has no {FACTS} that can be read") from None
    if not names.facts_fit(facts):
        raise DataError(f"{folder / FACTS} does not say what a backup says: at and files")
    if wrong := damaged(folder, facts):
        raise DataError(f"{folder / wrong[0]} is damaged")
    return dict(facts)


def size(folder: Path, facts: Mapping[str, Any]) -> int:
    """Return how many bytes a backup's data takes."""
    return sum((folder / name).stat().st_size for name in facts["files"])
