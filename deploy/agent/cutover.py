"""The critical part of a deploy: create, switch, smoke, commit; undo on any error."""

import shutil
import sys
import time
from pathlib import Path

from deploy.agent import backup, docker, guard, prune, smoke
from deploy.agent.audit import Audit
from deploy.agent.health import UnhealthyError, wait_until_healthy
from deploy.agent.journal import Journal, Switch
from deploy.agent.layout import RAN, AgentError, Layout
from deploy.agent.lock import CUT_OVER, flock
from deploy.agent.release import Release, changed, missing_images, missing_secrets

HEALTHY_WITHIN = 120.0
ENGINE_WITHIN = 120.0
ROLLED_BACK = 1


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
        except AgentError as error:
            fail(layout, journal, audit, error)
            return ROLLED_BACK
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
    journal = Journal(release.name, before.name if before else "", who)
    for name in changed(release):
        old = [one for one in there if one.service == name]
        journal.switches.append(
            Switch(
                service=name,
                handover=handover(release, Release.load(before) if before else None, name),
                replicas=release.services[name]["replicas"],
                old=[one.id for one in old],
                running=[one.id for one in old if one.running],
            )
        )
    journal.save(layout.journal)
    # What finds the journal after a crash needs the program that wrote it.
    shutil.copyfile(Path(sys.argv[0]).resolve(), layout.root / "agent.pyz")
    return journal


def handover(release: Release, before: Release | None, name: str) -> str:
    """Return how a service changes hands: side by side only where both sides can."""
    kinds = [one.services.get(name, {}).get("handover") for one in (release, before) if one]
    return "overlap" if all(kind == "overlap" for kind in kinds) else "replace"


def bring_up(layout: Layout, release: Release, journal: Journal, audit: Audit) -> None:
    """Change every service that differs, then prove that the whole of it works."""
    before = layout.linked("current")
    guard.versions(release, Release.load(before) if before else None, journal)
    data = [one for one in journal.switches if one.old and release.services[one.service]["data"]]
    if data:
        step(layout, journal, audit, "backup", f"backing up before {data[0].service} changes")
        backup.backup(layout, Release.load(before) if before else release, audit)
    step(layout, journal, audit, "create")
    release.stack.create({one.service: len(one.old) + one.replicas for one in journal.switches})
    for switch in journal.switches:
        step(layout, journal, audit, f"switch {switch.service}", f"{switch.service}: switching")
        change_hands(release.project, switch, audit)
    step(layout, journal, audit, "smoke")
    if release.facts["smoke"] is not None:
        took = smoke.smoke(release)
        audit.note("smoke", f"smoke test passed ({took:.1f} s)", seconds=round(took, 3))
    journal.phase = "committed"
    step(layout, journal, audit, "commit")


def step(layout: Layout, journal: Journal, audit: Audit, name: str, text: str = "") -> None:
    """Write down what comes next, before it is done."""
    journal.step = name
    journal.save(layout.journal)
    audit.note(name, text)


def change_hands(project: str, switch: Switch, audit: Audit) -> None:
    """Start the new containers of a service and stop the old ones, in its order."""
    new = fresh(project, switch)
    if len(new) != switch.replicas:
        raise AgentError(
            f"{switch.service}: {len(new)} containers were made, not {switch.replicas}"
        )
    began = time.monotonic()
    if switch.handover == "replace":
        for old in switch.running:
            docker.stop(old)
    stopped = time.monotonic()
    for one in new:
        docker.start(one.id)
    for one in new:
        wait_until_healthy(project, one.id, HEALTHY_WITHIN)
    healthy = time.monotonic()
    if switch.handover == "overlap":
        for old in switch.running:
            docker.stop(old)
    audit.note(
        f"switched {switch.service}",
        f"{switch.service}: healthy after {healthy - stopped:.1f} s",
        stop_seconds=round(stopped - began, 3),
        healthy_seconds=round(healthy - stopped, 3),
    )


def fresh(project: str, switch: Switch) -> list[docker.Container]:
    """Return a service's containers that were not there before the cut-over."""
    there = docker.containers(project)
    return [one for one in there if one.service == switch.service and one.id not in switch.old]


def fail(layout: Layout, journal: Journal, audit: Audit, error: AgentError) -> None:
    """Undo, and say why."""
    audit.note("failed", f"failed at '{journal.step}': {error}", reason=str(error))
    if isinstance(error, UnhealthyError) and error.report:
        audit.detail(error.report)
    undo(layout, journal, audit)
    back = f"release {journal.before} runs as before" if journal.before else "nothing runs"
    audit.note("rolled back", f"rolled back: {back}")


def undo(layout: Layout, journal: Journal, audit: Audit) -> None:
    """Put the old containers back, latest change first; data stays as it is."""
    wait_for_engine()
    project = Release.load(layout.release(journal.release)).project
    for switch in reversed(journal.switches):
        audit.note(f"undo {switch.service}")
        new = fresh(project, switch)
        if switch.handover == "replace":
            for one in new:
                docker.stop(one.id)
        for old in switch.running:
            if docker.exists(old):
                docker.start(old)
        for old in switch.running:
            try:
                wait_until_healthy(project, old, HEALTHY_WITHIN)
            except UnhealthyError as error:
                audit.note(f"undo {switch.service}", f"{switch.service} is back, but {error}")
        for one in new:
            docker.remove(one.id)
    Journal.close(layout.journal)


def finish(layout: Layout, journal: Journal, audit: Audit) -> None:
    """Past the point of commitment: make the release current and clear away what it replaced."""
    wait_for_engine()
    folder = layout.release(journal.release)
    release = Release.load(folder)
    (folder / RAN).touch()
    if layout.linked("current") != folder:
        if before := layout.linked("current"):
            layout.link("previous", before)
        layout.link("current", folder)
    gone = [
        one for one in docker.containers(release.project) if one.service not in release.services
    ]
    old = [one for switch in journal.switches for one in switch.old if docker.exists(one)]
    for container in [*old, *(one.id for one in gone)]:
        docker.remove(container)
    prune.prune(layout, release.project, audit)
    Journal.close(layout.journal)


def recover_unfinished(layout: Layout, who: str) -> bool:
    """Undo or finish a cut-over that died; return whether there was one. Needs CUT_OVER."""
    journal = Journal.load(layout.journal)
    if journal is None:
        return False
    audit = Audit(layout.audit, who, journal.release)
    audit.note("recover", f"a cut-over to {journal.release} died at '{journal.step}'")
    if journal.phase == "committed":
        finish(layout, journal, audit)
        audit.note("done", f"recovered: release {journal.release} runs")
    else:
        undo(layout, journal, audit)
        back = f"release {journal.before} runs as before" if journal.before else "nothing runs"
        audit.note("rolled back", f"recovered: {back}")
    return True


def recover(layout: Layout, who: str) -> int:
    """Undo or finish a cut-over that died, as on boot."""
    with flock(layout, CUT_OVER, wait=False):
        if not recover_unfinished(layout, who):
            print("no cut-over is unfinished")
    return 0


def wait_for_engine() -> None:
    """Wait until the engine answers: it may be restarting.

    Raises:
        AgentError: It does not.
    """
    deadline = time.monotonic() + ENGINE_WITHIN
    while True:
        try:
            docker.run("docker", "version", "--format", "{{.Server.Version}}", timeout=10)
        except AgentError as error:
            if time.monotonic() > deadline:
                raise AgentError(f"{error}; start Docker and run the same command again") from None
            time.sleep(0.5)
        else:
            return
