"""A backup in place of a host's data, or as the first data of a new host.

What is being done is in state/restore.json until it is done: whatever finds that file, the next
deploy or the next boot, does it again from the start. Where the backup cannot be put in place,
the data that was there is put back.
"""

import os
from pathlib import Path

from deploy.agent.data import postgres_store, redis_store
from deploy.agent.data.backup import FILES, backup, kept, stores
from deploy.agent.data.postgres_store import Database
from deploy.agent.host import docker, names
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.files import damaged
from deploy.agent.host.health import wait_until_healthy
from deploy.agent.host.layout import Json, Layout, read_json, remove_durably, write_json
from deploy.agent.host.program import keep_program
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release

HEALTHY_WITHIN = 120.0


def checked(layout: Layout, name: str) -> Path:
    """Return the folder of a backup that is whole.

    Raises:
        AgentError: There is none of that name, or it is damaged.
    """
    folder = layout.backups / name
    facts = read_json(folder / "backup.json") if names.fits("backup", name) else None
    if facts is None:
        there = ", ".join(path.name for path in kept(layout)) or "none"
        raise AgentError(f"no backup is called {name!r}; there are: {there}", os.EX_USAGE)
    if not names.facts_fit(facts):
        raise AgentError(f"{folder / 'backup.json'} is no backup's", os.EX_DATAERR)
    if wrong := damaged(folder, facts):
        raise AgentError(f"{folder / wrong[0]} is damaged", os.EX_DATAERR)
    return folder


def restore(
    layout: Layout, release: Release, name: str, audit: Audit, *, hold: bool = False
) -> None:
    """Put the data of a backup in place of today's, which is backed up first.

    Args:
        layout: The host's folders.
        release: What runs.
        name: The backup.
        audit: What happens is noted there.
        hold: Of several servers: what writes starts when the others have their copies, by `finish`.

    Raises:
        AgentError: The backup is not there or not whole, and nothing was changed; or a step
            failed, and today's data is in place again.
    """
    if not (hold and layout.restoring.exists()):  # one that died goes on
        fits(release, checked(layout, name))
        stores(release)  # all of them run
        running = {container.id: container.restart for container in writers(release)}
        facts = {"release": release.name, "backup": name, "first": False, "ran": running}
        begin(layout, {**facts, "hold": hold})
    if hold:
        place(layout, audit)
    else:
        finish(layout, audit)


def stand_aside(layout: Layout, release: Release) -> None:
    """Stop what writes, and this server's copy of Redis, while another one's data is replaced.

    Sentinels have nobody to choose then. `finish` starts all of it, and so does a boot.
    """
    if layout.restoring.exists():
        raise AgentError("a restore is unfinished here: make deploy settles that")
    there = docker.containers(release.project)
    redis = [
        each for each in there if release.services.get(each.service, {}).get("data") == "redis"
    ]
    aside = [*(each for each in redis if each.running), *writers(release)]
    ran = {container.id: container.restart for container in aside}
    facts = {"release": release.name, "backup": "", "first": False, "ran": ran}
    begin(layout, {**facts, "placed": True})
    for container in reversed(ran):
        docker.retire(container)


def seed(layout: Layout, release: Release, name: str, audit: Audit) -> None:
    """Start the data stores of a host's first release, with the data of a backup.

    Raises:
        AgentError: A release runs already; or a step failed, and the stores are gone again.
    """
    if layout.linked("current"):
        raise AgentError(
            "a release runs on this host: deploy without from=, then make restore", os.EX_USAGE
        )
    fits(release, checked(layout, name))
    begin(layout, {"release": release.name, "backup": name, "first": True, "ran": {}})
    finish(layout, audit)


def fits(release: Release, folder: Path) -> None:
    """Make sure that a backup has a file for each data store, and one that Redis can read.

    Raises:
        AgentError: It has not.
    """
    for service, facts in release.services.items():
        if not facts["data"]:
            continue
        path = folder / FILES[facts["data"]]
        if not path.is_file():
            raise AgentError(f"backup {folder.name} has nothing for {service}", os.EX_DATAERR)
        if facts["data"] == "redis":
            redis_store.check(facts["image"], path)


def writers(release: Release) -> list[docker.Container]:
    """Return the running containers that are no data stores, in start order."""
    there = [container for container in docker.containers(release.project) if container.running]
    order = [name for name in release.services if writes(release, name)]
    writing = [container for container in there if container.service in order]
    return sorted(writing, key=lambda container: order.index(container.service))


def writes(release: Release, service: str) -> bool:
    """Whether a service is no data store, nor what stands beside a copy of one."""
    return not release.services[service]["data"] and not release.is_copy(service)


def begin(layout: Layout, facts: Json) -> None:
    """Write down what is going to be done, and keep the program that can finish it."""
    keep_program(layout)
    write_json(layout.restoring, facts)


def finish(layout: Layout, audit: Audit) -> bool:
    """Do what state/restore.json says; return whether there was such a file. Needs CUT_OVER.

    Raises:
        AgentError: It failed, and what was there before is there again.
    """
    facts = place(layout, audit)
    if facts is None:
        return False
    start(facts["ran"])
    remove_durably(layout.restoring)
    return True


def place(layout: Layout, audit: Audit) -> Json | None:
    """Put the data in place that state/restore.json names; return what that says then, if anything.

    Raises:
        AgentError: It failed, and what was there before is there again.
    """
    facts = read_json(layout.restoring)
    if facts is None or facts.get("placed"):
        return facts
    release = Release.load(layout.release(facts["release"]))
    try:
        put(layout, release, facts, audit)
    except Exception as error:  # noqa: BLE001 - whatever it is, something has to run again
        back = go_back(layout, release, facts)
        audit.note("failed", reason=str(error))
        raise AgentError(f"the backup could not be put in place: {error}; {back}") from None
    # From here on there is new data, which nobody may replace by the backup again.
    facts["placed"] = True
    write_json(layout.restoring, facts)
    audit.note("restored", f"the data of backup {facts['backup']} is in place")
    return facts


def start_stores(release: Release) -> None:
    """Make the containers of the data stores as the release wants them, and start them."""
    wanted = {name: 1 for name, facts in release.services.items() if facts["data"]}
    release.stack.create(wanted)
    for container in docker.containers(release.project):
        if container.service in wanted:
            docker.start(container.id)
            wait_until_healthy(container.id, HEALTHY_WITHIN)


def put(layout: Layout, release: Release, facts: Json, audit: Audit) -> None:
    """Put a backup in place. PostgreSQL's is prepared first, and swapped in one step last."""
    start_stores(release)
    for container in reversed(facts["ran"]):
        # Nor does an engine that starts meanwhile start it again.
        docker.retire(container)
    if not facts["first"] and "before" not in facts:
        # Nobody writes any more: this is all that there is to go back to.
        facts["before"] = backup(layout, release, audit, spare=facts["backup"]).name
        write_json(layout.restoring, facts)
    folder = layout.backups / facts["backup"]
    present = {kind: container for kind, _, container in stores(release)}
    database = Database.of(release, present["postgres"]) if "postgres" in present else None
    if database:
        audit.note("restoring", "postgres: reading the dump")
        postgres_store.prepare(database, folder / FILES["postgres"])
    if "redis" in present:
        audit.note("restoring", "redis: putting the snapshot in place")
        redis = Redis.of(release, present["redis"])
        redis_store.load(redis, folder / FILES["redis"])
    if database:
        postgres_store.swap(database)


def go_back(layout: Layout, release: Release, facts: Json) -> str:
    """Put back what was there before a restore; return what a person is to know."""
    if facts["first"]:
        for old in docker.containers(release.project):
            docker.remove(old.id)
        remove_durably(layout.restoring)
        return "nothing runs"
    start_stores(release)
    for kind, _, container in stores(release):
        if kind == "redis" and "before" in facts:
            before = layout.backups / facts["before"] / FILES["redis"]
            redis_store.load(Redis.of(release, container), before)
    if facts.get("hold"):
        write_json(layout.restoring, {**facts, "placed": True})
    else:
        start(facts["ran"])
        remove_durably(layout.restoring)
    return "today's data is in place"


def start(containers: dict[str, str]) -> None:
    """Start containers one after the other, each when the one before is healthy."""
    for container, restart in containers.items():
        docker.allow_restart(container, restart)
        docker.start(container)
        wait_until_healthy(container, HEALTHY_WITHIN)
