"""A change to a release, from its begin to its end; also the end of one that has died."""

import time

from deploy.agent.cutover.cut_over import CutOver, Save
from deploy.agent.cutover.journal import Journal
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.health import UnhealthyError
from deploy.agent.host.layout import Layout, read_json
from deploy.agent.host.lock import CUT_OVER, flock
from deploy.agent.host.release import Release, facts_of, missing_images, missing_secrets
from deploy.agent.host.stack import let_networks_out

ROLLED_BACK = 1


def change_to(layout: Layout, name: str, who: str, save: Save) -> int:
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
        check_unmoved(layout)
        recover_unfinished(layout, who)
        audit = Audit(layout.audit, who, name)
        release = Release.load(layout.release(name))
        check(release, layout)
        check_kind(release, layout)
        cut_over = CutOver.begin(layout, release, audit)
        switches = cut_over.journal.switches
        audit.note("begun", services=[switch.service for switch in switches])
        began = time.monotonic()
        try:
            cut_over.bring_up(save)
        except Exception as error:  # noqa: BLE001 - whatever it is, something has to run again
            return fail(cut_over, error)
        cut_over.finish()
        took = time.monotonic() - began
        audit.note("done", f"release {name} runs ({len(switches)} changed, {took:.1f} s)")
    return 0


def check(release: Release, layout: Layout) -> None:
    """Make sure that everything is here before anything changes."""
    if images := missing_images(release):
        raise AgentError(f"this host lacks the image of {', '.join(images)}; deploy it again")
    if secrets := missing_secrets(release, layout):
        raise AgentError(f"this host lacks the secret {', '.join(secrets)}; deploy it again")


def check_unmoved(layout: Layout) -> None:
    """Make sure that this server's data is not being moved, and was not moved away.

    Raises:
        AgentError: It is, or was: two bots would poll.
    """
    if facts := read_json(layout.moving):
        raise AgentError(f"the data is being moved: make deploy moving={facts['keeper']} goes on")
    if facts := read_json(layout.moved):
        raise AgentError(
            f"the data has moved to {facts['to']}: take this server out of the inventory, or, "
            f"to begin anew, remove {layout.moved}"
        )


def check_kind(release: Release, layout: Layout) -> None:
    """Make sure that one of three servers gets a release for one of three, and no other server.

    Raises:
        AgentError: It would go on with its own copy alone, or with copies that nobody else has.
    """
    current = layout.linked("current")
    runs = facts_of(current) if current else {}
    if not runs or ("copies" in runs) == ("copies" in release.facts):
        return
    kinds = ("one of three servers", "a server alone")
    now, then = kinds if "copies" in runs else reversed(kinds)
    raise AgentError(
        f"this is {now}, and the release is for {then}: say moving=NAME, see docs/SCALE.md"
    )


def fail(cut_over: CutOver, error: Exception) -> int:
    """Say why a cut-over failed, and end it as its journal says; return the exit code."""
    layout, audit = cut_over.layout, cut_over.audit
    layout.ballast.unlink(missing_ok=True)
    reason = str(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
    # What is on the disk counts: whoever finds it after a crash sees nothing else.
    journal = Journal.load(layout.journal)
    if journal is None:
        raise AgentError(reason)
    audit.note("failed", f"failed at '{journal.step}': {reason}", reason=reason)
    if isinstance(error, UnhealthyError) and error.report:
        audit.detail(error.report)
    return settle(CutOver(layout, journal, audit))


def settle(cut_over: CutOver) -> int:
    """Finish a cut-over that is committed, undo one that is not; return the exit code."""
    journal, audit = cut_over.journal, cut_over.audit
    if journal.phase == "committed":
        cut_over.finish()
        audit.note("done", f"release {journal.release} runs")
        return 0
    cut_over.undo()
    back = f"release {journal.before} runs as before" if journal.before else "nothing runs"
    audit.note("rolled back", f"rolled back: {back}")
    return ROLLED_BACK


def recover_unfinished(layout: Layout, who: str) -> bool:
    """Undo or finish a cut-over that died; return whether there was one. Needs CUT_OVER."""
    journal = Journal.load(layout.journal)
    if journal is None:
        return False
    layout.ballast.unlink(missing_ok=True)
    audit = Audit(layout.audit, who, journal.release)
    audit.note("recover", f"a cut-over to {journal.release} died at '{journal.step}'")
    settle(CutOver(layout, journal, audit))
    return True


def recover(layout: Layout, who: str) -> int:
    """Undo or finish a cut-over that died, as on boot; where none did, start what is stopped."""
    with flock(layout, CUT_OVER, wait=False):
        if not recover_unfinished(layout, who):
            start_stopped(layout, Audit(layout.audit, who))
    return 0


def start_stopped(layout: Layout, audit: Audit) -> None:
    """Start the containers of the current release that do not run."""
    folder = layout.linked("current")
    if folder is None:
        audit.detail("no release is current")
        return
    docker.wait_for_engine()
    release = Release.load(folder)
    let_networks_out()
    for container in docker.containers(release.project):
        stopped = container.status in {"created", "exited"}
        if stopped and container.service in release.services:
            docker.start(container.id)
            audit.note("started", f"{container.service} was stopped; it runs again")
    audit.detail(f"release {release.name} runs, and no cut-over is unfinished")
