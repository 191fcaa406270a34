"""Backups from the deployer's side: made on a host, copied here, put in place there.

FOLDER/<host>/<backup>/   redis.rdb, postgres.dump, backup.json with their hashes; 0600
"""

import json
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from paramiko.channel import ChannelFile

from deploy.agent.host import names
from deploy.agent.host.files import damaged, digest
from deploy.errors import DataError, RemoteError, UnavailableError, UsageError
from deploy.host.heartbeat import locked
from deploy.host.running import followed
from deploy.inventory import expanded
from deploy.outcome import Act
from deploy.ssh import commands
from deploy.ssh.link import Link, Say

FACTS = "backup.json"
CHUNK = 1 << 18


def backup(link: Link, who: str, to: str, say: Say, *, dry: bool) -> Iterator[Act]:
    """Save Redis and PostgreSQL into a folder on the host; copy it into a folder here if asked."""
    first = commands.preflight(link.host)
    if dry:
        say(link.agent("backup", "--dry", first=first).strip())
        if to:
            say(f"would copy it into {expanded(to) / link.host.name}")
    else:
        link.run(first)

    def save() -> int:
        with locked(link, who, "backup"):
            link.install_agent()
            code = link.agent_stream(("--who", who, "backup"), say)
            if to and not code:
                fetch(link, link.status("")["backups"][-1], expanded(to), say)
            return code

    yield save


def saves(link: Link, project: str) -> bool:
    """Whether a server is the one of several that backs up.

    Raises:
        UnavailableError: Nobody says which one that is.
    """
    saves = link.status(project, first=commands.preflight(link.host)).get("saves")
    if saves is None:
        raise UnavailableError("nobody says which server leads, so none backs up: make status")
    return bool(saves)


def restore(link: Link, who: str, source: str, say: Say, *, dry: bool) -> Iterator[Act]:
    """Put the data of a backup in place of today's, which is backed up first.

    Args:
        link: Where.
        who: Who asks.
        source: A backup on the host, or a folder here: that has a slash in it.
        say: Told what happens.
        dry: Say what would be done.
    """
    first = commands.preflight(link.host)
    if not source:
        kept = link.status("", first=first)["backups"]
        raise UsageError(f"say which: from=NAME; there are: {', '.join(kept) or 'none'}")
    if dry and "/" in source:
        folder = expanded(source)
        facts = checked(folder)
        say(f"would send the backup of {facts['at']}, {size(folder, facts)} bytes, and")
        say("stop the services, back up today's data, put the sent one in its place")
    elif dry:
        say(link.agent("restore", source, "--dry", first=first).strip())
    else:
        link.run(first)

    def put_in_place() -> int:
        with locked(link, who, f"restore of {source}"):
            name = send(link, expanded(source), say) if "/" in source else source
            link.install_agent()
            return followed(link, ("--who", who, "begin-restore", name), say)

    yield put_in_place


def seed(link: Link, release: str, source: str, who: str, say: Say) -> None:
    """Give a host's first release its data, before the release starts.

    Raises:
        DeployError: It could not be done; nothing runs.
    """
    name = send(link, expanded(source), say)
    words = ("--who", who, "begin-restore", name, "--release", release)
    if code := followed(link, words, say):
        raise RemoteError("the backup could not be put in place; nothing runs", code)


def fetch(link: Link, name: str, folder: Path, say: Say) -> Path:
    """Copy a backup from the host into a folder here; it is there whole, or not at all.

    Raises:
        DeployError: The folder cannot be written, or what came is not what the host has saved.
    """
    if not names.fits("backup", name):
        raise DataError(f"{link.host.name} calls its backup {name!r}, which is no backup's name")
    target = folder / link.host.name / name
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        sender = link.start(commands.read_backup(link.host, name))
        try:
            unpack(sender.output, partial)
        except tarfile.TarError:  # the host says why, unless it goes on sending
            if sender.output.read(1):
                raise DataError(f"{link.host.name} sends something else than a backup") from None
        sender.finish()
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


def unpack(stream: IO[bytes] | ChannelFile, folder: Path) -> None:
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


def send(link: Link, folder: Path, say: Say) -> str:
    """Put a backup of a folder here on the host; return its name there.

    The name has its moment and a digest of it, so that the same one is sent once, and none takes
    another one's place.

    Raises:
        DeployError: The backup is damaged, or could not be sent.
    """
    facts = checked(folder)
    moment = str(facts["at"]).replace("-", "").replace(":", "")
    name = f"{moment}-{digest(folder / FACTS)[:8]}"
    if name in link.status("")["backups"]:
        return name
    say(f"sending {size(folder, facts)} bytes")
    receiver = link.start(commands.receive_backup(link.host, name))
    try:
        with tarfile.open(fileobj=receiver.input, mode="w|") as archive:
            for file in (*facts["files"], FACTS):
                archive.add(folder / file, file)
    except OSError:
        say("the host has closed the connection")
    receiver.finish()
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
