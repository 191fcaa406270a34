"""Backups of the data stores, as folders below backups/.

Both stores are saved as they were at one moment: writers to Redis are held back while it begins its
snapshot, until PostgreSQL has begun its own. What PostgreSQL's copy has the effect of is then in
Redis' copy, and what Redis' copy says is acknowledged has its effect; an entry between the two is
read again, which the inbox makes harmless.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deploy.agent.data import postgres_store, redis_store
from deploy.agent.data.postgres_store import Database
from deploy.agent.host import docker, names
from deploy.agent.host.audit import Audit, utc
from deploy.agent.host.errors import AgentError
from deploy.agent.host.files import digest
from deploy.agent.host.layout import Layout, read_json, sync_folder, write_json
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release
from shared.keys import BACKUP_TIME

KEEP = 7
FILES = {"redis": "redis.rdb", "postgres": "postgres.dump"}
Save = Callable[[Path], None]


def backup(layout: Layout, release: Release, audit: Audit, spare: str = "") -> Path:
    """Save every data store of a running release; return the folder.

    Args:
        layout: The host's folders.
        release: What runs.
        audit: What happens is noted there.
        spare: A backup that stays even where it is one too many.

    Raises:
        AgentError: One could not be saved; nothing is left of the attempt.
    """
    for dead in layout.backups.glob(".*.partial"):
        shutil.rmtree(dead)
    folder = unused(layout)
    partial_folder = layout.backups / f".{folder.name}.partial"
    partial_folder.mkdir(mode=0o700)
    try:
        files = {}
        with one_moment(release) as saves:
            for service, file, save in saves:
                path = partial_folder / file
                began = time.monotonic()
                save(path)
                files[file] = digest(path)
                size, took = path.stat().st_size, time.monotonic() - began
                audit.note("saved", f"{service}: {size} bytes in {took:.1f} s")
        facts = {"at": utc(), "release": release.name, "files": files}
        write_json(partial_folder / "backup.json", facts)
        partial_folder.rename(folder)
        sync_folder(layout.backups)
    except BaseException:
        shutil.rmtree(partial_folder, ignore_errors=True)
        raise
    for old in outdated(kept(layout), keep(layout), spare):
        shutil.rmtree(old)
    tell(release, audit)
    audit.note("backup", f"backup {folder.name} is in {folder}")
    return folder


def tell(release: Release, audit: Audit) -> None:
    """Write into Redis when the newest backup was made: the services' metrics say it on."""
    if "redis" not in {facts["data"] for facts in release.services.values()}:
        return
    try:
        Redis.of(release).ask("SET", BACKUP_TIME, str(int(time.time())))
    except (AgentError, ValueError) as error:
        audit.note("backup", f"Redis could not be told of it: {error}")


def unused(layout: Layout) -> Path:
    """Return the folder of a new backup: its name is the moment, in whole seconds."""
    while True:
        folder = layout.backups / name_of_now()
        if not folder.exists():
            return folder
        time.sleep(0.1)


def name_of_now() -> str:
    """Return what a backup of this moment is called."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def kept(layout: Layout) -> list[Path]:
    """Return the backups on the host, oldest first.

    What is named after a moment that is still to come was made before the clock was put back, so it
    is older than all others.
    """
    now = name_of_now()
    there = (path.parent for path in layout.backups.glob("[0-9]*/backup.json"))
    backups = [folder for folder in there if names.fits("backup", folder.name)]
    return sorted(backups, key=lambda folder: (folder.name <= now, folder.name))


def keep(layout: Layout) -> int:
    """Return how many backups are kept: what provision wrote down, else seven.

    Raises:
        AgentError: Something else is written there; nothing is cleared away by it.
    """
    # An earlier provision has called it as the file in each backup is called.
    said = read_json(layout.root / "retention.json") or read_json(layout.root / "backup.json")
    number = (said or {}).get("keep", KEEP)
    if type(number) is not int or number < 1:
        raise AgentError(f"{number!r} backups cannot be kept; run: make provision", os.EX_DATAERR)
    return number


def outdated(there: list[Path], number: int, spare: str = "") -> list[Path]:
    """Return the backups that are too many, oldest first."""
    return [folder for folder in there[:-number] if folder.name != spare]


def stores(release: Release) -> list[tuple[str, str, str]]:
    """Return kind, service and container of each data store, Redis first.

    Raises:
        AgentError: One does not run.
    """
    there = docker.containers(release.project)
    running = {container.service: container.id for container in there if container.running}
    present = []
    for service, facts in release.services.items():
        if facts["data"]:
            if service not in running:
                raise AgentError(f"{service} does not run, so there is nothing to talk to")
            present.append((facts["data"], service, running[service]))
    return sorted(present, key=lambda store: list(FILES).index(store[0]))


@contextmanager
def one_moment(release: Release) -> Iterator[list[tuple[str, str, Save]]]:
    """Yield service, file and what saves it, for each data store as it was at the same moment.

    Raises:
        AgentError: The stores could not be held still for long enough.
    """
    if not any(facts["data"] for facts in release.services.values()):
        raise AgentError("every data store of the release is run elsewhere; back it up there")
    present = {kind: (service, container) for kind, service, container in stores(release)}
    if "postgres" not in present:
        service, container = present["redis"]
        redis = Redis.of(release, container)
        number, _ = hold(redis, lambda: "")
        yield [(service, FILES["redis"], partial(redis_store.copy, redis, number))]
        return
    service, container = present["postgres"]
    database = Database.of(release, container)
    with postgres_store.session(database) as opened:
        saves: list[tuple[str, str, Save]] = []
        begin = partial(postgres_store.snapshot, opened)
        if "redis" in present:
            redis = Redis.of(release, present["redis"][1])
            number, seen = hold(redis, begin)
            copy = partial(redis_store.copy, redis, number)
            saves.append((present["redis"][0], FILES["redis"], copy))
        else:
            seen = begin()
        dump = partial(postgres_store.dump, database, seen)
        yield [*saves, (service, FILES["postgres"], dump)]


def hold(redis: Redis, then: Callable[[], str]) -> tuple[int, str]:
    """Have Redis begin a snapshot and do something else before anybody writes to it again.

    Returns the number of Redis' snapshot and what the other thing returned.

    Raises:
        AgentError: Redis was always busy with something else, or the other thing took too long.
    """
    deadline = time.monotonic() + redis_store.WITHIN
    while True:
        began = time.monotonic()
        number = redis_store.pause_and_fork(redis)
        if number is not None:
            try:
                result = then()
                took = time.monotonic() - began
            finally:
                redis_store.resume(redis)
            if took < redis_store.PAUSE_SECONDS:
                return number, result
            raise AgentError(
                f"the data stores could not be held still: it took {took:.1f} s; back up again"
            )
        if time.monotonic() > deadline:
            raise AgentError("redis is busy writing its own files; back up later")
        time.sleep(0.2)
