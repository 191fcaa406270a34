"""One release in place of another: create, switch, smoke, commit; undone until it is committed."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from deploy.agent.copies.copies import Copies
from deploy.agent.copies.hand_over import hand_over
from deploy.agent.cutover import buried, guard, prune, smoke
from deploy.agent.cutover.handover import change_hands, put_back
from deploy.agent.cutover.journal import Journal, Switch
from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import RAN, Layout
from deploy.agent.host.program import keep_program
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release, changed

Save = Callable[[Release], object]
BALLAST = 4 << 20
"""Bytes kept free for undoing on a disk that has become full."""
TRIES = 3
PAUSE = 2.0


@dataclass
class CutOver:
    """A cut-over that is under way, or that died and was found.

    Attributes:
        layout: The host's folders.
        journal: What is being changed.
        audit: Who is told, and where it is written down.
    """

    layout: Layout
    journal: Journal
    audit: Audit

    @cached_property
    def release(self) -> Release:
        """The release that is to run; read when it is wanted, as undoing can do without."""
        return Release.load(self.layout.release(self.journal.release))

    @cached_property
    def before(self) -> Release | None:
        """The release that ran; None the first time, and where its folder is damaged."""
        name = self.journal.before
        try:
            return Release.load(self.layout.release(name)) if name else None
        except AgentError as error:
            self.audit.note("damaged", f"the release that runs cannot be read: {error}")
            return None

    @staticmethod
    def begin(layout: Layout, release: Release, audit: Audit) -> "CutOver":
        """Write down what is going to change."""
        before = layout.linked("current")
        there = docker.containers(release.project)
        journal = Journal(release.project, release.name, before.name if before else "", audit.who)
        cut_over = CutOver(layout, journal, audit)
        for name in changed(release):
            old = [container for container in there if container.service == name]
            journal.switches.append(
                Switch(
                    service=name,
                    handover=cut_over.handover(release, name),
                    replicas=release.services[name]["replicas"],
                    old=[container.id for container in old],
                    running=[container.id for container in old if container.running],
                    restart=old[0].restart if old else "always",
                    data=bool(release.services[name]["data"]) or release.is_copy(name),
                )
            )
        keep_program(layout)
        try:
            with layout.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST)
            journal.save(layout.journal)
        except OSError:
            layout.ballast.unlink(missing_ok=True)
            raise
        return cut_over

    def handover(self, release: Release, name: str) -> str:
        """Return how a service changes hands: side by side only where both sides say they can."""
        sides = [release, self.before] if self.journal.before else [release]
        kinds = [side.services.get(name, {}).get("handover") if side else "" for side in sides]
        return "overlap" if all(kind == "overlap" for kind in kinds) else "replace"

    def bring_up(self, save: Save) -> None:
        """Change every service that differs, then prove that the whole of it works.

        Args:
            save: Backs up the data of the release that it is given.
        """
        release, switches = self.release, self.journal.switches
        copies = Copies.of(self.before or release)
        guard.versions(release, switches)
        self.remember_letters()
        replaced = [switch.service for switch in switches if switch.old]
        data = [name for name in replaced if release.services[name]["data"]]
        if data and copies is None:
            self.step("backup", f"backing up before {data[0]} changes")
            save(self.before or release)
        elif data and copies:
            self.step("hand over")
            hand_over(self.layout, copies, self.audit)
        self.step("create")
        scales = {switch.service: len(switch.old) + switch.replicas for switch in switches}
        release.stack.create(scales)
        for stage in self.stages():
            self.remember_letters()
            names = ", ".join(switch.service for switch in stage)
            self.step(f"switch {names}", f"{names}: switching")
            change_hands(release.project, stage, self.audit)
        test = release.facts["smoke"]
        self.journal.smoke = f"smoke-{uuid.uuid4()}" if test else ""
        self.step("smoke")
        if test:
            took = smoke.smoke(release, self.journal.smoke)
            self.audit.note("smoke", f"smoke test passed ({took:.1f} s)", seconds=round(took, 3))
        self.journal.phase, self.journal.smoke = "committed", ""
        self.step("commit")

    def stages(self) -> list[list[Switch]]:
        """Return the services that change, those together that are not healthy one by one.

        A copy of a store waits for the one beside it that says which copy is written to.
        """
        copies = [s for s in self.journal.switches if self.release.is_copy(s.service)]
        others = [s for s in self.journal.switches if not self.release.is_copy(s.service)]
        return ([copies] if copies else []) + [[switch] for switch in others]

    def step(self, name: str, text: str = "") -> None:
        """Write down what comes next, before it is done."""
        self.journal.step = name
        self.journal.save(self.layout.journal)
        self.audit.note(name, text)

    def finish(self) -> None:
        """Past the commit: make the release current and clear away what it replaced."""
        docker.wait_for_engine()
        release = self.release
        (release.folder / RAN).touch()
        if self.layout.linked("current") != release.folder:
            if before := self.layout.linked("current"):
                self.layout.link("previous", before)
            self.layout.link("current", release.folder)
        there = docker.containers(release.project)
        replaced = {number for switch in self.journal.switches for number in switch.old}
        for container in there:
            if container.id in replaced or container.service not in release.services:
                docker.stop(container.id)
                docker.remove(container.id)
        prune.prune(self.layout, release.project, self.audit)
        self.close()

    def undo(self) -> None:
        """Put the old containers back; data stays as it is.

        Raises:
            AgentError: Something is left to undo; the journal says so to whoever comes next.
        """
        removed = self.remove_smoke()
        for switch in chain(*self.journal.backwards()):
            self.audit.note(f"undo {switch.service}")
        problems = self.put_all_back()
        for _ in range(TRIES - 1):
            if problems:
                self.audit.note("undo", reason=problems[0])
                time.sleep(PAUSE)
                problems = self.put_all_back()
        if problems:
            raise AgentError(f"not all is undone: {problems[0]}; mend it, then deploy again")
        if not removed and not self.remove_smoke():
            text = f"the smoke test's event {self.journal.smoke} was left behind"
            self.audit.note("smoke", text)
        self.give_letters_back()
        self.close()

    def put_all_back(self) -> list[str]:
        """Put back the old containers of every service; return what went wrong."""
        docker.wait_for_engine()
        project, stages = self.journal.project, self.journal.backwards()
        return [problem for stage in stages for problem in put_back(project, stage, self.audit)]

    def remove_smoke(self) -> bool:
        """Remove what a smoke test may have left; return whether that worked."""
        if not self.journal.smoke:
            return True
        try:
            smoke.tidy(self.release, self.journal.smoke)
        except (AgentError, ValueError):
            return False
        return True

    def remember_letters(self) -> None:
        """Note which dead letters there are; asked again later where Redis is away now."""
        if not self.journal.before or self.journal.letters is not None:
            return
        try:
            redis = Redis.of(self.before or self.release)
            self.journal.letters = buried.youngest(redis, self.release)
        except AgentError:
            self.journal.letters = None

    def give_letters_back(self) -> None:
        """Give what was buried since the cut-over began back to its consumers; say how much.

        Where Redis does not answer, the letters stay, and that is said.
        """
        if not self.journal.letters:
            return
        for left in reversed(range(TRIES)):
            try:
                redis = Redis.of(self.before or self.release)
                groups = buried.streams(self.release)
                given, gone = buried.take_back(redis, groups, self.journal)
            except AgentError as error:
                if left:
                    time.sleep(PAUSE)
                    continue
                text = f"what was buried meanwhile is still in the dead letters: {error}"
                self.audit.note("not given back", text)
            else:
                buried.report(self.audit, given, gone)
            return

    def close(self) -> None:
        """Note that no cut-over is under way any more."""
        self.layout.ballast.unlink(missing_ok=True)
        Journal.close(self.layout.journal)
