"""The critical part of a deploy: create, switch, smoke, commit; undone on any error."""

import os
import time
import uuid
from collections.abc import Callable

from deploy.agent.cutover import buried, guard, smoke
from deploy.agent.cutover.handover import change_hands
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.cutover.settle import fail, finish, recover_unfinished
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.layout import AgentError, Layout
from deploy.agent.host.lock import CUT_OVER, flock
from deploy.agent.host.program import keep_program
from deploy.agent.host.release import Release, changed, missing_images, missing_secrets

Save = Callable[[Release], object]
BALLAST = 4 << 20
"""Bytes kept free for undoing on a disk that has become full."""


def cut_over(layout: Layout, name: str, who: str, save: Save) -> int:
    """Make a release the one that runs; return 0, or 1 where it was rolled back.

    Args:
        layout: The host's folders.
        name: The release.
        who: Who deploys.
        save: Backs up the data of the release that it is given.

    Raises:
        AgentError: Nothing was changed, and why; or the roll-back is not complete yet.
    """
    with flock(layout, CUT_OVER, wait=False):
        recover_unfinished(layout, who)
        audit = Audit(layout.audit, who, name)
        release = Release.load(layout.release(name))
        check(release, layout)
        journal = begin(layout, release, who)
        audit.note("begun", services=[one.service for one in journal.switches])
        began = time.monotonic()
        try:
            bring_up(layout, release, journal, audit, save)
        except Exception as error:  # noqa: BLE001 - whatever it is, something has to run again
            return fail(layout, audit, error)
        finish(layout, journal, audit)
        audit.note(
            "done",
            f"release {name} runs ({len(journal.switches)} changed, "
            f"{time.monotonic() - began:.1f} s)",
        )
    return 0


def check(release: Release, layout: Layout) -> None:
    """Make sure that everything is here before anything changes."""
    if images := missing_images(release):
        raise AgentError(f"this host lacks the image of {', '.join(images)}; deploy it again")
    if secrets := missing_secrets(release, layout):
        raise AgentError(f"this host lacks the secret {', '.join(secrets)}; deploy it again")


def begin(layout: Layout, release: Release, who: str) -> Journal:
    """Write down what is going to change."""
    before = layout.linked("current")
    there = docker.containers(release.project)
    journal = Journal(release.project, release.name, before.name if before else "", who)
    for name in changed(release):
        old = [one for one in there if one.service == name]
        journal.switches.append(
            Switch(
                service=name,
                handover=handover(release, Release.load(before) if before else None, name),
                replicas=release.services[name]["replicas"],
                old=[one.id for one in old],
                running=[one.id for one in old if one.running],
                restart=old[0].restart if old else "always",
            )
        )
    keep_program(layout)
    with layout.ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, BALLAST)
    journal.save(layout.journal)
    return journal


def handover(release: Release, before: Release | None, name: str) -> str:
    """Return how a service changes hands: side by side only where both sides can."""
    kinds = [one.services.get(name, {}).get("handover") for one in (release, before) if one]
    return "overlap" if all(kind == "overlap" for kind in kinds) else "replace"


def bring_up(layout: Layout, release: Release, journal: Journal, audit: Audit, save: Save) -> None:
    """Change every service that differs, then prove that the whole of it works."""
    current = layout.linked("current")
    before = Release.load(current) if current else None
    guard.versions(release, before, journal)
    buried.remember(release, before, journal)
    data = [one for one in journal.switches if one.old and release.services[one.service]["data"]]
    if data:
        step(layout, journal, audit, "backup", f"backing up before {data[0].service} changes")
        save(before or release)
    step(layout, journal, audit, "create")
    release.stack.create({one.service: len(one.old) + one.replicas for one in journal.switches})
    for switch in journal.switches:
        buried.remember(release, before, journal)
        step(layout, journal, audit, f"switch {switch.service}", f"{switch.service}: switching")
        change_hands(release.project, switch, audit)
    test = release.facts["smoke"]
    journal.smoke = f"smoke-{uuid.uuid4()}" if test else ""
    step(layout, journal, audit, "smoke")
    if test:
        took = smoke.smoke(release, journal.smoke)
        audit.note("smoke", f"smoke test passed ({took:.1f} s)", seconds=round(took, 3))
    journal.phase, journal.smoke = "committed", ""
    step(layout, journal, audit, "commit")


def step(layout: Layout, journal: Journal, audit: Audit, name: str, text: str = "") -> None:
    """Write down what comes next, before it is done."""
    journal.step = name
    journal.save(layout.journal)
    audit.note(name, text)
