"""This server's part in the way of an environment's data from one server to three, and back.

The deployer asks the servers for these steps, and knows how far all of them are:

part    stop what writes
save    back up: nobody writes, so it holds all there is
rest    stop the stores too
raise   start the stores of the new release, and nothing else
fill    put what was saved in place: of three PostgreSQL's alone, as Redis goes on with its volume
settle  from here on the new release is current; what it replaces goes
undo    before that: what ran before runs again, and what the steps have made goes

What was there before is in state/moving.json, from `part` on until it is settled or undone. A boot
starts nothing of it: whoever has moved, two bots must never poll.
"""

import argparse
import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.agent.cutover import guard, settle
from deploy.agent.cutover.journal import Switch
from deploy.agent.data import postgres_store, redis_store, restore
from deploy.agent.data.backup import FILES, backup, stores
from deploy.agent.data.postgres_store import Database
from deploy.agent.host import docker, health
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import RAN, Layout, read_json, remove_durably, write_json
from deploy.agent.host.program import keep_program
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release

HEALTHY_WITHIN = 600.0
"""Seconds for a store that runs again: a copy of PostgreSQL may have to be filled anew."""
DATA, COPY = "/var/lib/postgresql/data", "copy"
"""PostgreSQL's volume, and the folder in it that is Patroni's."""


@dataclass
class Move:
    """What a server notes of a move.

    Attributes:
        release: The release that is to run here; empty where none is.
        before: The one that ran; empty where none did.
        keeper: The server that has the data before, or afterwards.
        keeps: Whether that is this one.
        old: The containers that were there.
        ran: Those of them that ran, in start order, with their restart policies.
        volumes: The volumes that were there.
        stores: Those of them that were a store's.
        backup: The backup that was made here.
        settled: Whether it has gone too far to be undone.
    """

    release: str
    before: str
    keeper: str
    keeps: bool
    old: list[str]
    ran: dict[str, str]
    volumes: list[str]
    stores: list[str]
    backup: str = ""
    settled: bool = False

    @staticmethod
    def load(layout: Layout) -> "Move":
        """Return the move that this server is at.

        Raises:
            AgentError: It is at none.
        """
        facts = read_json(layout.moving)
        if facts is None:
            raise AgentError("no data is being moved here")
        return Move(**facts)

    def save(self, layout: Layout) -> None:
        """Write it down."""
        write_json(layout.moving, asdict(self))


def part(layout: Layout, options: argparse.Namespace, audit: Audit) -> None:
    """Write down what runs, and stop what writes.

    Raises:
        AgentError: Something is unfinished or in the way, and nothing was changed.
    """
    if any(path.exists() for path in (layout.moving, layout.journal, layout.restoring)):
        raise AgentError("something is unfinished here: make deploy settles that")
    folder = layout.linked("current")
    before = Release.load(folder) if folder else None
    new = Release.load(layout.release(options.name)) if options.name else None
    either = before or new
    if either is None:
        raise AgentError("no release runs here, and none comes", os.EX_USAGE)
    there, volumes = docker.containers(either.project), volumes_of(either.project)
    if new:
        settle.check(new, layout)
    if before is None and (there or volumes):
        left = [*(container.name for container in there), *volumes]
        raise AgentError(f"this server has something of an earlier stack, remove it: {left[0]}")
    if before and new:
        old = [container.id for container in there]
        guard.versions(new, [Switch(name, "replace", old=old) for name in new.services])
    running = in_order(either, there)
    kept = [container.id for container in there if is_store(either, container.service)]
    keep_program(layout)
    Move(
        release=options.name,
        before=before.name if before else "",
        keeper=options.keeper,
        keeps=options.keeps,
        old=[container.id for container in there],
        ran={container.id: container.restart for container in running},
        volumes=volumes,
        stores=mounted(kept),
    ).save(layout)
    for container in reversed(restore.writers(either)):
        docker.retire(container.id)
    audit.note("parted", "what writes has stopped" if before else "")


def save(layout: Layout, _options: argparse.Namespace, audit: Audit) -> None:
    """Back up what the stores hold, which nobody writes to any more."""
    move = Move.load(layout)
    move.backup = backup(layout, Release.load(layout.release(move.before)), audit).name
    move.save(layout)


def rest(layout: Layout, _options: argparse.Namespace, _audit: Audit) -> None:
    """Stop the stores too."""
    for container in reversed(Move.load(layout).ran):
        docker.retire(container)


def raise_stores(layout: Layout, _options: argparse.Namespace, audit: Audit) -> None:
    """Start the stores of the new release beside what has stopped, and nothing else."""
    move = Move.load(layout)
    release = Release.load(layout.release(move.release))
    if move.keeps and not is_three(release):
        clear(release)  # PostgreSQL begins in an empty folder; two servers have what the copy had
    there = [each for each in docker.containers(release.project) if each.id in move.old]
    wanted = [name for name in release.services if is_store(release, name)]
    scales = {name: 1 + len([c for c in there if c.service == name]) for name in wanted}
    release.stack.create(scales)
    made = fresh(move, release.project)
    for container in made:
        health.start(container.id)
    for container in made:
        health.wait_until_healthy(container.id)
    audit.note("raised", f"the stores of {release.name} run")


def fill(layout: Layout, options: argparse.Namespace, audit: Audit) -> None:
    """Put what was saved in place of what the new stores hold."""
    release = Release.load(layout.release(Move.load(layout).release))
    folder = restore.checked(layout, options.backup)
    restore.fits(release, folder)
    for kind, service, container in stores(release):
        if kind == "postgres":
            database = Database.of(release, container)
            postgres_store.prepare(database, folder / FILES[kind])
            postgres_store.swap(database)
        elif is_three(release):
            continue  # it has its volume
        else:
            redis_store.load(Redis.of(release, container), folder / FILES[kind])
        audit.note("filled", f"{service}: the data of backup {folder.name} is in place")


def settle_here(layout: Layout, _options: argparse.Namespace, audit: Audit) -> None:
    """Make the new release current, or none; nothing goes back from here on."""
    move = Move.load(layout)
    move.settled = True
    move.save(layout)
    finish(layout, audit)


def finish(layout: Layout, audit: Audit) -> None:
    """Do what is left of a move that has settled."""
    move = Move.load(layout)
    release = Release.load(layout.release(move.release or move.before))
    if move.release:
        (release.folder / RAN).touch()
        layout.link("current", release.folder)
        remove_durably(layout.moved)
    else:
        write_json(layout.moved, {"to": move.keeper})
        remove_durably(layout.root / "current")
    remove_durably(layout.root / "previous")
    for container in docker.containers(release.project):
        if container.id in move.old:
            docker.remove(container.id)
    remove_volumes(volume for volume in unused_volumes(release.project) if volume in move.stores)
    if move.keeps and is_three(release):
        clear(release, "!", "-name", COPY)
    remove_durably(layout.moving)
    audit.note("settled", f"{move.release} has the data" if move.release else "nothing runs here")


def undo(layout: Layout, _options: argparse.Namespace, audit: Audit) -> None:
    """Have what was there before run again, as it was.

    Raises:
        AgentError: It has settled already, or something does not run; then it can be undone again.
    """
    if not layout.moving.exists():
        return
    move = Move.load(layout)
    if move.settled:
        raise AgentError("the data has moved, and that is not undone")
    release = Release.load(layout.release(move.before or move.release))
    for container in fresh(move, release.project):
        docker.remove(container.id)
    there = unused_volumes(release.project)
    remove_volumes(volume for volume in there if volume not in move.volumes)
    if move.keeps:
        clear(release, *(["!"] if is_three(release) else []), "-name", COPY)
    if move.before:
        start_again(layout, move, release)
    remove_durably(layout.moving)
    audit.note("undone", f"{move.before or 'nothing'} runs as before")


def start_again(layout: Layout, move: Move, release: Release) -> None:
    """Start what ran before a move: the stores together, then one service after the other."""
    there = {container.id: container for container in docker.containers(release.project)}
    ran = {number: policy for number, policy in move.ran.items() if number in there}
    kept = [number for number in ran if is_store(release, there[number].service)]
    for number in kept:
        docker.allow_restart(number, ran[number])
        docker.start(number)
    for number in kept:
        health.wait_until_healthy(number, HEALTHY_WITHIN)
        kind = release.services[there[number].service]["data"]
        if kind == "redis" and move.backup and not is_three(release):
            # The copies have gone on with its files.
            file = layout.backups / move.backup / FILES[kind]
            redis_store.load(Redis.of(release, number), file)
    restore.start({number: policy for number, policy in ran.items() if number not in kept})


def after_boot(layout: Layout, audit: Audit) -> int:
    """Finish a move that has settled; how another one stands, only the deployer knows."""
    if Move.load(layout).settled:
        finish(layout, audit)
        settle.start_stopped(layout, audit)
    else:
        audit.note("recover", "the data is being moved, and nothing is started: see make status")
    return os.EX_OK


Step = Callable[[Layout, argparse.Namespace, Audit], None]
STEPS: dict[str, Step] = {
    "part": part,
    "save": save,
    "rest": rest,
    "raise": raise_stores,
    "fill": fill,
    "settle": settle_here,
    "undo": undo,
}


def raised(layout: Layout) -> Path | None:
    """Return the release whose stores alone run here so far, if any."""
    facts = read_json(layout.moving)
    return layout.release(facts["release"]) if facts and facts["release"] else None


def is_three(release: Release) -> bool:
    """Whether a release is for one of three servers."""
    return "copies" in release.facts


def is_store(release: Release, service: str) -> bool:
    """Whether a service is a store, or stands beside a copy of one."""
    return service in release.services and not restore.writes(release, service)


def in_order(release: Release, there: Collection[docker.Container]) -> list[docker.Container]:
    """Return the containers of a release that run, in start order."""
    order = list(release.services)
    running = [each for each in there if each.running and each.service in order]
    return sorted(running, key=lambda container: order.index(container.service))


def fresh(move: Move, project: str) -> list[docker.Container]:
    """Return the containers that were not there before."""
    return [each for each in docker.containers(project) if each.id not in move.old]


def volumes_of(project: str, *filters: str) -> list[str]:
    """Return the names of a project's volumes."""
    label = f"label={docker.PROJECT_LABEL}={project}"
    words = [word for each in (label, *filters) for word in ("--filter", each)]
    return docker.run("docker", "volume", "ls", "--quiet", *words).split()


def unused_volumes(project: str) -> list[str]:
    """Return the names of a project's volumes that no container has."""
    return volumes_of(project, "dangling=true")


def remove_volumes(names: Iterable[str]) -> None:
    """Remove volumes."""
    for name in names:
        docker.run("docker", "volume", "rm", name)


def mounted(containers: Collection[str]) -> list[str]:
    """Return the names of the volumes that containers have."""
    if not containers:
        return []
    facts = json.loads(docker.run("docker", "container", "inspect", *containers))
    mounts = [mount for each in facts for mount in each["Mounts"]]
    return sorted({mount["Name"] for mount in mounts if mount["Type"] == "volume"})


def clear(release: Release, *which: str) -> None:
    """Remove what stands in PostgreSQL's volume, or just what `find` calls so."""
    for container in docker.containers(release.project):
        if release.services.get(container.service, {}).get("data") == "postgres":
            place = ("--network", "none", "--user", "0:0", "--volumes-from", container.id)
            inside = (DATA, "-mindepth", "1", "-maxdepth", "1", *which)
            remove = ("-exec", "rm", "-rf", "{}", "+")
            find = ("--entrypoint", "find", container.image, *inside, *remove)
            docker.run("docker", "run", "--rm", *place, *find)
            return
