"""Backups of the data stores, as folders below backups/.

Both stores are saved as they were at one moment: writers to Redis are held back while it begins its
snapshot, until PostgreSQL has begun its own. What PostgreSQL's copy has the effect of is then in
Redis' copy, and what Redis' copy says is acknowledged has its effect; an entry between the two is
read again, which the inbox makes harmless.
"""

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
from deploy.agent.host.files import digest
from deploy.agent.host.layout import AgentError, Layout, read_json, sync_folder, write_json
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release

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
    audit.note("backup", f"backup {folder.name} is in {folder}")
    return folder


def unused(layout: Layout) -> Path:
    """Return the folder of a new backup: its name is the moment, in whole seconds."""
    while True:
        folder = layout.backups / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        if not folder.exists():
            return folder
        time.sleep(0.1)


def kept(layout: Layout) -> list[Path]:
    """Return the backups on the host, oldest first."""
    there = (path.parent for path in layout.backups.glob("[0-9]*/backup.json"))
    return sorted(folder for folder in there if names.fits("backup", folder.name))


def keep(layout: Layout) -> int:
    """Return how many backups are kept: what provision wrote down, else seven."""
    return int((read_json(layout.root / "backup.json") or {}).get("keep", KEEP))


def outdated(there: list[Path], number: int, spare: str = "") -> list[Path]:
    """Return the backups that are too many, oldest first."""
    return [one for one in there[:-number] if one.name != spare]


def stores(release: Release) -> list[tuple[str, str, str]]:
    """Return kind, service and container of each data store, Redis first.

    Raises:
        AgentError: One does not run.
    """
    there = {one.service: one.id for one in docker.containers(release.project) if one.running}
    found = []
    for service, facts in release.services.items():
        if facts["data"]:
            if service not in there:
                raise AgentError(f"{service} does not run, so there is nothing to talk to")
            found.append((facts["data"], service, there[service]))
    return sorted(found, key=lambda one: list(FILES).index(one[0]))


@contextmanager
def one_moment(release: Release) -> Iterator[list[tuple[str, str, Save]]]:
    """Yield service, file and what saves it, for each data store as it was at the same moment.

    Raises:
        AgentError: The stores could not be held still for long enough.
    """
    found = {kind: (service, container) for kind, service, container in stores(release)}
    if "postgres" not in found:
        service, container = found["redis"]
        redis = Redis.of(release, container)
        number, _ = hold(redis, lambda: "")
        yield [(service, FILES["redis"], partial(redis_store.copy, redis, number))]
        return
    service, container = found["postgres"]
    database = Database.of(release, container)
    with postgres_store.session(database) as opened:
        saves: list[tuple[str, str, Save]] = []
        begin = partial(postgres_store.snapshot, opened)
        if "redis" in found:
            redis = Redis.of(release, found["redis"][1])
            number, seen = hold(redis, begin)
            copy = partial(redis_store.copy, redis, number)
            saves.append((found["redis"][0], FILES["redis"], copy))
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
