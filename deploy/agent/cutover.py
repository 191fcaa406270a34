"""The critical part of a deploy: create, switch, smoke, commit; undone on any error."""

import os
import shutil
import sys
import time
import uuid
from pathlib import Path

from deploy.agent import backup, buried, docker, guard, smoke
from deploy.agent.audit import Audit
from deploy.agent.handover import change_hands
from deploy.agent.journal import Journal, Switch
from deploy.agent.layout import AgentError, Layout, sync_folder
from deploy.agent.lock import CUT_OVER, flock
from deploy.agent.release import Release, changed, missing_images, missing_secrets
from deploy.agent.settle import fail, finish, recover_unfinished

BALLAST = 4 << 20
"""Bytes kept free for undoing on a disk that has become full."""


def cut_over(layout: Layout, name: str, who: str) -> int:
    """Make a release the one that runs; return 0, or 1 where it was rolled back.

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
            bring_up(layout, release, journal, audit)
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


def keep_program(layout: Layout) -> None:
    """Keep the program that writes the journal: what finds it after a crash needs just that one."""
    new = layout.root / ".agent.pyz.new"
    shutil.copyfile(Path(sys.argv[0]).resolve(), new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(layout.root / "agent.pyz")
    sync_folder(layout.root)


def handover(release: Release, before: Release | None, name: str) -> str:
    """Return how a service changes hands: side by side only where both sides can."""
    kinds = [one.services.get(name, {}).get("handover") for one in (release, before) if one]
    return "overlap" if all(kind == "overlap" for kind in kinds) else "replace"


def bring_up(layout: Layout, release: Release, journal: Journal, audit: Audit) -> None:
    """Change every service that differs, then prove that the whole of it works."""
    current = layout.linked("current")
    before = Release.load(current) if current else None
    guard.versions(release, before, journal)
    buried.remember(release, before, journal)
    data = [one for one in journal.switches if one.old and release.services[one.service]["data"]]
    if data:
        step(layout, journal, audit, "backup", f"backing up before {data[0].service} changes")
        backup.backup(layout, before or release, audit)
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
