"""How a cut-over ends: undone before its commit, finished after it; also one that has died."""

import time

from deploy.agent.cutover import buried, prune, smoke
from deploy.agent.cutover.handover import put_back
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.health import UnhealthyError
from deploy.agent.host.layout import RAN, AgentError, Layout
from deploy.agent.host.lock import CUT_OVER, flock
from deploy.agent.host.release import Release
from deploy.agent.host.stack import let_networks_out

ENGINE_WITHIN = 120.0
UNDO_TRIES = 3
UNDO_PAUSE = 2.0
ROLLED_BACK = 1


def fail(layout: Layout, audit: Audit, error: Exception) -> int:
    """Say why a cut-over failed, and end it as its journal says; return the exit code."""
    layout.ballast.unlink(missing_ok=True)
    told = str(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
    journal = Journal.load(layout.journal)
    if journal is None:
        raise AgentError(told)
    audit.note("failed", f"failed at '{journal.step}': {told}", reason=told)
    if isinstance(error, UnhealthyError) and error.report:
        audit.detail(error.report)
    return settle(layout, journal, audit)


def settle(layout: Layout, journal: Journal, audit: Audit) -> int:
    """Finish a cut-over that is committed, undo one that is not; return the exit code."""
    if journal.phase == "committed":
        finish(layout, journal, audit)
        audit.note("done", f"release {journal.release} runs")
        return 0
    undo(layout, journal, audit)
    back = f"release {journal.before} runs as before" if journal.before else "nothing runs"
    audit.note("rolled back", f"rolled back: {back}")
    return ROLLED_BACK


def undo(layout: Layout, journal: Journal, audit: Audit) -> None:
    """Put the old containers back; data stays as it is.

    Raises:
        AgentError: Something is left to undo; the journal says so to whoever comes next.
    """
    forgotten = forget_smoke(layout, journal)
    for switch in backwards(journal):
        audit.note(f"undo {switch.service}")
    problems = put_all_back(journal, audit)
    for _ in range(UNDO_TRIES - 1):
        if problems:
            audit.note("undo", reason=problems[0])
            time.sleep(UNDO_PAUSE)
            problems = put_all_back(journal, audit)
    if problems:
        raise AgentError(f"not all is undone: {problems[0]}; mend it, then deploy again")
    if not forgotten and not forget_smoke(layout, journal):
        audit.note("smoke", f"the smoke test's event {journal.smoke} was left behind")
    buried.give_back(layout, journal, audit)
    close(layout)


def put_all_back(journal: Journal, audit: Audit) -> list[str]:
    """Put back the old containers of every service; return what went wrong."""
    wait_for_engine()
    problems = []
    for switch in backwards(journal):
        try:
            put_back(journal.project, switch, audit)
        except AgentError as error:
            problems.append(f"{switch.service}: {error}")
    return problems


def backwards(journal: Journal) -> list[Switch]:
    """Return the services in the order in which they are put back.

    What was stopped for its successor comes first, as the others are not healthy without it; then
    comes the latest change first.
    """
    alone = [one for one in journal.switches if one.handover == "replace"]
    return [*alone, *(one for one in reversed(journal.switches) if one not in alone)]


def forget_smoke(layout: Layout, journal: Journal) -> bool:
    """Remove what a smoke test may have left; return whether that worked."""
    if not journal.smoke:
        return True
    try:
        release = Release.load(layout.release(journal.release))
        smoke.tidy(release, journal.smoke)
    except AgentError:
        return False
    return True


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
        one.id for one in docker.containers(release.project) if one.service not in release.services
    ]
    old = [one for switch in journal.switches for one in switch.old if docker.exists(one)]
    for container in [*old, *gone]:
        docker.stop(container)
        docker.remove(container)
    prune.prune(layout, release.project, audit)
    close(layout)


def close(layout: Layout) -> None:
    """Note that no cut-over is under way any more."""
    layout.ballast.unlink(missing_ok=True)
    Journal.close(layout.journal)


def recover_unfinished(layout: Layout, who: str) -> bool:
    """Undo or finish a cut-over that died; return whether there was one. Needs CUT_OVER."""
    journal = Journal.load(layout.journal)
    if journal is None:
        return False
    layout.ballast.unlink(missing_ok=True)
    audit = Audit(layout.audit, who, journal.release)
    audit.note("recover", f"a cut-over to {journal.release} died at '{journal.step}'")
    settle(layout, journal, audit)
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
    wait_for_engine()
    release = Release.load(folder)
    let_networks_out()
    for one in docker.containers(release.project):
        if one.service in release.services and one.status in {"created", "exited"}:
            docker.start(one.id)
            audit.note("started", f"{one.service} was stopped; it runs again")
    audit.detail(f"release {release.name} runs, and no cut-over is unfinished")


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
