"""Backup and restore of the data stores, as files below backups/.

Redis is saved before PostgreSQL: an entry that PostgreSQL's copy has the effect of may then be
unread in Redis' copy, and is read again, which the inbox makes harmless. The other way round an
acknowledged entry could miss its effect.
"""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from deploy.agent import docker
from deploy.agent.audit import Audit, utc
from deploy.agent.health import wait_until_healthy
from deploy.agent.layout import AgentError, Json, Layout, read_json, sync_folder, write_json
from deploy.agent.release import Release
from deploy.agent.smoke import redis_cli

KEEP = 7
WITHIN = 300.0
REDIS_FILE = "redis.rdb"
POSTGRES_FILE = "postgres.dump"
FILES = {"redis": REDIS_FILE, "postgres": POSTGRES_FILE}


def backup(layout: Layout, release: Release, audit: Audit) -> Path:
    """Save every data store of a running release; return the folder.

    Raises:
        AgentError: One could not be saved; nothing is left of the attempt.
    """
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = layout.backups / name
    partial = layout.backups / f".{name}.partial"
    partial.mkdir(mode=0o700)
    try:
        facts: Json = {"at": utc(), "release": release.name, "files": {}}
        for kind, service, container in stores(release):
            path = partial / FILES[kind]
            began = time.monotonic()
            SAVE[kind](container, path, release)
            facts["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            audit.note(
                "saved",
                f"{service}: {path.stat().st_size} bytes in {time.monotonic() - began:.1f} s",
            )
        write_json(partial / "backup.json", facts)
        partial.rename(folder)
        sync_folder(layout.backups)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in kept(layout)[:-KEEP]:
        shutil.rmtree(old)
    audit.note("backup", f"backup {name} is in {folder}")
    return folder


def kept(layout: Layout) -> list[Path]:
    """Return the backups on the host, oldest first."""
    return sorted(path.parent for path in layout.backups.glob("[0-9]*/backup.json"))


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


def save_redis(container: str, path: Path, _release: Release) -> None:
    """Have Redis write a snapshot, and copy it."""
    before = redis_cli(container, "LASTSAVE")
    # LASTSAVE counts whole seconds: two snapshots within one would look like none.
    while redis_cli(container, "TIME")[0] == str(before):  # type: ignore[index]
        time.sleep(0.1)
    redis_cli(container, "BGSAVE", "SCHEDULE")
    deadline = time.monotonic() + WITHIN
    while redis_cli(container, "LASTSAVE") == before:
        if time.monotonic() > deadline:
            raise AgentError(f"redis: no snapshot was written within {WITHIN:.0f} s")
        time.sleep(0.1)
    to_file(("docker", "exec", container, "cat", "/data/dump.rdb"), path)


def save_postgres(container: str, path: Path, release: Release) -> None:
    """Dump the database; pg_dump sees one moment of it."""
    database = release.facts["database"]
    dump = ("pg_dump", "-U", database["user"], "-d", database["name"], "--format", "custom")
    to_file(("docker", "exec", container, *dump), path)


SAVE = {"redis": save_redis, "postgres": save_postgres}


def to_file(command: tuple[str, ...], path: Path) -> None:
    """Write what a command prints into a new file of mode 0600, durably."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        result = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)
        file.flush()
        os.fsync(descriptor)
    if result.returncode:
        words = result.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise AgentError(f"backup failed: {words[-1]}")


def restore(layout: Layout, release: Release, name: str, audit: Audit) -> None:
    """Put the data of a backup in place of today's, which is backed up first.

    Raises:
        AgentError: The backup is not there or not whole: nothing was changed; or a step failed.
    """
    folder = layout.backups / name
    facts = read_json(folder / "backup.json") if "/" not in name else None
    if facts is None:
        there = ", ".join(path.name for path in kept(layout)) or "none"
        raise AgentError(f"no backup is called {name!r}; there are: {there}", os.EX_USAGE)
    for file, wanted in facts["files"].items():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != wanted:
            raise AgentError(f"{folder / file} is damaged", os.EX_DATAERR)
    found = stores(release)
    backup(layout, release, audit)
    project = release.project
    writers = [
        one
        for one in docker.containers(project)
        if one.running and not release.services.get(one.service, {}).get("data")
    ]
    for one in reversed(writers):
        docker.stop(one.id)
    for kind, service, container in found:
        audit.note("restoring", f"{service}: restoring")
        LOAD[kind](project, container, folder / FILES[kind], release)
    for service in release.services:
        for one in [one for one in writers if one.service == service]:
            docker.start(one.id)
            wait_until_healthy(project, one.id, 120)
    audit.note("restored", f"the data of backup {name} is in place")


def load_redis(project: str, container: str, path: Path, _release: Release) -> None:
    """Replace Redis' files by a snapshot, from which it then writes a new append-only file."""
    image = next(one.image for one in docker.containers(project) if one.id == container)
    docker.stop(container)
    isolated = ("docker", "run", "--rm", "--network", "none", "--user", "999:999", "-i")
    place = ("--volumes-from", container, "--entrypoint", "sh", image, "-c")
    empty = "rm -rf /data/appendonlydir /data/*.aof /data/dump.rdb && cat > /data/dump.rdb"
    docker.run(*isolated, *place, empty, stdin=path.read_bytes())
    # An append-only start ignores the snapshot: load it without, and have the file written from it.
    rewrite = (
        "redis-server --dir /data --appendonly no --unixsocket /tmp/s --port 0 "
        "--daemonize yes --logfile /dev/null && r='redis-cli -s /tmp/s' && "
        'until [ "$($r ping 2>/dev/null)" = PONG ]; do sleep 0.1; done && '
        "$r config set appendonly yes && "
        "while $r info persistence | grep -qE 'aof_rewrite_(in_progress|scheduled):1|"
        "aof_last_bgrewrite_status:err'; do sleep 0.1; done && $r shutdown save"
    )
    docker.run(*isolated, "--tmpfs", "/tmp", *place, rewrite, timeout=WITHIN)  # noqa: S108 - in it
    docker.start(container)
    wait_until_healthy(project, container, 120)


def load_postgres(_project: str, container: str, path: Path, release: Release) -> None:
    """Replace the database by a dump, in one transaction."""
    database = release.facts["database"]
    user, name = database["user"], database["name"]
    docker.run(
        "docker",
        "exec",
        container,
        "dropdb",
        "-U",
        user,
        "--force",
        "--maintenance-db",
        "template1",
        name,
    )
    docker.run(
        "docker", "exec", container, "createdb", "-U", user, "--maintenance-db", "template1", name
    )
    load = ("pg_restore", "-U", user, "-d", name, "--single-transaction", "--exit-on-error")
    docker.run("docker", "exec", "-i", container, *load, stdin=path.read_bytes(), timeout=WITHIN)


LOAD = {"redis": load_redis, "postgres": load_postgres}
