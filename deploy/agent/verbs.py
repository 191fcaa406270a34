"""What each verb of the command line does, in words of the rooms."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable

from deploy.agent import drift, moving, status
from deploy.agent.copies.copies import Copies
from deploy.agent.cutover import settle
from deploy.agent.data import backup, restore
from deploy.agent.host import detached, images, lock, secret_store
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import DIFFERENT, AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.release import Release

STOPPED = 128 + signal.SIGTERM
FINAL = {os.EX_DATAERR, os.EX_USAGE, STOPPED}
"""The exit codes of what is the same however often it is tried."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
RECOVERS_WITHIN = 3600.0


def begin(layout: Layout, options: argparse.Namespace) -> int:
    """Start a cut-over that no lost connection stops, and follow it."""
    return detach(layout, options, "cut-over", options.name)


def begin_restore(layout: Layout, options: argparse.Namespace) -> int:
    """Start a restore that no lost connection stops, and follow it."""
    release = ["--release", options.release] if options.release else []
    hold = ["--hold"] if options.hold else []
    return detach(layout, options, "restore", options.name, *release, *hold)


def detach(layout: Layout, options: argparse.Namespace, *words: str) -> int:
    """Start a verb as a process of its own, and follow it."""
    arguments = ["--root", str(layout.root), "--who", options.who, *words]
    detached.begin(layout, arguments, options.run)
    return detached.follow(layout, options.run)


def noted(layout: Layout, options: argparse.Namespace, work: Callable[[], int]) -> int:
    """Do what runs as a process of its own; how it ends is written down for who follows."""
    code = os.EX_SOFTWARE
    try:
        code = work()
    except (AgentError, OSError) as error:
        failure = as_failure(error)
        Audit(layout.audit, options.who, options.name).note("refused", str(failure))
        code = failure.code
    finally:
        detached.note_result(layout, options.run, code)
    return code


def cut_over(layout: Layout, options: argparse.Namespace) -> int:
    """Make a release the one that runs."""

    def work() -> int:
        finish_restore(layout, options.who)
        audit = Audit(layout.audit, options.who, options.name)

        def save_data(release: Release) -> None:
            backup.backup(layout, release, audit)

        return settle.change_to(layout, options.name, options.who, save_data)

    return noted(layout, options, work)


def follow(layout: Layout, options: argparse.Namespace) -> int:
    """Follow a cut-over that was begun before."""
    return detached.follow(layout, options.run)


def recover(layout: Layout, options: argparse.Namespace) -> int:
    """Undo or finish a cut-over that died, or do a restore again that did; until that works.

    After a boot nobody else would try again. What no time mends ends it, and so does an hour.
    """
    audit, pause, said = Audit(layout.audit, options.who), FIRST_PAUSE, ""
    if layout.moving.exists():
        with lock.flock(layout, lock.CUT_OVER, wait=True):
            return moving.after_boot(layout, audit)
    deadline = time.monotonic() + RECOVERS_WITHIN
    while True:
        try:
            finish_restore(layout, options.who)
            return settle.recover(layout, options.who)
        except (AgentError, OSError) as error:
            failure = as_failure(error)
            if options.once or failure.code in FINAL or time.monotonic() > deadline:
                raise
        if str(failure) != said:
            said = str(failure)
            audit.note("recover", f"{said}; trying again until it works", reason=said)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def take_lock(layout: Layout, options: argparse.Namespace) -> int:
    """Take the lock, or renew it."""
    layout.prepare()
    lock.take(layout, options.token, options.who, options.reason, options.seconds)
    return os.EX_OK


def give_lock_back(layout: Layout, options: argparse.Namespace) -> int:
    """Give the lock back."""
    held = lock.give_back(layout, options.token)
    if not options.token:
        print(f"the lock of {lock.describe(held)} is gone" if held else "there was no lock")
    return os.EX_OK


def secrets(layout: Layout, _options: argparse.Namespace) -> int:
    """Take secrets from standard input."""
    for name in secret_store.store(layout, json.load(sys.stdin)):
        print(f"secret {name.rpartition('.')[0]} stored")
    return os.EX_OK


def show(layout: Layout, options: argparse.Namespace) -> int:
    """Print what runs, as JSON."""
    print(json.dumps(status.status(layout, options.project)))
    return os.EX_OK


def tag(layout: Layout, options: argparse.Namespace) -> int:
    """Make sure that the images of a release are here, and name them as ours."""
    loaded = Release.load(layout.releases / options.name)
    settle.check(loaded, layout)
    for name, service in loaded.services.items():
        images.tag(loaded.project, name, service["image"])
    return os.EX_OK


def differences(layout: Layout, _options: argparse.Namespace) -> int:
    """Print what is not as it should be; exit with 2 where there is something."""
    lines = list(drift.differences(layout))
    for line in lines:
        print(line)
    return DIFFERENT if lines else os.EX_OK


def put_back(layout: Layout, options: argparse.Namespace) -> int:
    """Do a restore now, in this process."""
    if options.dry:
        return would_put_back(layout, options)
    return noted(layout, options, lambda: put_in_place(layout, options))


def save(layout: Layout, options: argparse.Namespace) -> int:
    """Back up the data stores."""
    if options.dry:
        return would_save(layout)
    audit = Audit(layout.audit, options.who)
    try:
        with lock.flock(layout, lock.CUT_OVER, wait=options.wait):
            release = running(layout)
            if saves(Copies.of(release)):
                backup.backup(layout, release, audit)
            else:
                print("another server leads, and backs up")
    except AgentError as error:
        audit.note("failed", reason=f"backup: {error}")
        raise
    return os.EX_OK


def saves(copies: Copies | None) -> bool:
    """Whether this server is the one that backs up.

    Raises:
        AgentError: Nobody says which one that is.
    """
    here = copies.saves() if copies else True
    if here is None:
        raise AgentError("nobody says which server leads, so none backs up: make status")
    return here


def would_save(layout: Layout) -> int:
    """Say what a backup would do."""
    stores = " and ".join(service for _, service, _ in backup.stores(running(layout)))
    print(f"would save {stores}")
    there = [*backup.kept(layout), layout.backups / "the new one"]
    for old in backup.outdated(there, backup.keep(layout)):
        print(f"would remove backup {old.name}")
    return os.EX_OK


def put_in_place(layout: Layout, options: argparse.Namespace) -> int:
    """Put the data of a backup in place of today's, or as the first that a release has."""
    audit = Audit(layout.audit, options.who)
    with lock.flock(layout, lock.CUT_OVER, wait=False):
        # A cut-over that died may have left two containers of one store; only one of them may run.
        settle.recover_unfinished(layout, options.who)
        if options.release:
            release = Release.load(layout.release(options.release))
            restore.seed(layout, release, options.name, audit)
        else:
            restore.restore(layout, running(layout), options.name, audit, hold=options.hold)
    return os.EX_OK


def aside(layout: Layout, options: argparse.Namespace) -> int:
    """Stop what writes here while another server's data is replaced."""
    with lock.flock(layout, lock.CUT_OVER, wait=False):
        settle.recover_unfinished(layout, options.who)
        restore.stand_aside(layout, running(layout))
    return os.EX_OK


def would_put_back(layout: Layout, options: argparse.Namespace) -> int:
    """Say what a restore would do; the backup is checked."""
    folder = restore.checked(layout, options.name)
    release = running(layout)
    restore.fits(release, folder)
    stopped = " and ".join(container.service for container in restore.writers(release)) or "nothing"
    print(f"would stop {stopped}, back up today's data, put backup {folder.name} in its place")
    return os.EX_OK


def finish_restore(layout: Layout, who: str) -> None:
    """Do a restore again that died half-way."""
    if layout.restoring.exists():
        with lock.flock(layout, lock.CUT_OVER, wait=False):
            restore.finish(layout, Audit(layout.audit, who))


def running(layout: Layout) -> Release:
    """Return the current release, where its data is not being moved."""
    settle.check_unmoved(layout)
    folder = layout.linked("current")
    if folder is None:
        raise AgentError("no release runs on this host; deploy one")
    return Release.load(folder)


def as_failure(error: AgentError | OSError) -> AgentError:
    """Return an error as a finished line; a full or broken disk is nothing that we caused."""
    if isinstance(error, AgentError):
        return error
    return AgentError(f"{error.strerror}: {error.filename or 'while writing'}")
