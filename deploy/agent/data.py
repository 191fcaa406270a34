"""The agent's verbs for data: back up, put back, and do again what died half-way."""

import argparse
import os

from deploy.agent import backup, lock, restore, settle
from deploy.agent.audit import Audit
from deploy.agent.layout import AgentError, Layout
from deploy.agent.release import Release


def save(layout: Layout, options: argparse.Namespace) -> int:
    """Back up the data stores."""
    if options.dry:
        return would_save(layout)
    audit = Audit(layout.audit, options.who)
    try:
        with lock.flock(layout, lock.CUT_OVER, wait=options.wait):
            backup.backup(layout, running(layout), audit)
    except AgentError as error:
        audit.note("failed", reason=f"backup: {error}")
        raise
    return os.EX_OK


def would_save(layout: Layout) -> int:
    """Say what a backup would do."""
    stores = " and ".join(service for _, service, _ in backup.stores(running(layout)))
    print(f"would save {stores}")
    there = [*backup.kept(layout), layout.backups / "the new one"]
    for old in backup.outdated(there, backup.keep(layout)):
        print(f"would remove backup {old.name}")
    return os.EX_OK


def put_back(layout: Layout, options: argparse.Namespace) -> int:
    """Put the data of a backup in place of today's, or as the first that a release has."""
    audit = Audit(layout.audit, options.who)
    with lock.flock(layout, lock.CUT_OVER, wait=False):
        if options.release:
            settle.recover_unfinished(layout, options.who)
            release = Release.load(layout.release(options.release))
            restore.seed(layout, release, options.name, audit)
        else:
            restore.restore(layout, running(layout), options.name, audit)
    return os.EX_OK


def would_put_back(layout: Layout, options: argparse.Namespace) -> int:
    """Say what a restore would do; the backup is checked."""
    folder = restore.checked(layout, options.name)
    release = running(layout)
    restore.fits(release, folder)
    stopped = " and ".join(one.service for one in restore.writers(release)) or "nothing"
    print(f"would stop {stopped}, back up today's data, put backup {folder.name} in its place")
    return os.EX_OK


def finish_restore(layout: Layout, who: str) -> None:
    """Do a restore again that died half-way."""
    if layout.restoring.exists():
        with lock.flock(layout, lock.CUT_OVER, wait=False):
            restore.finish(layout, Audit(layout.audit, who))


def running(layout: Layout) -> Release:
    """Return the current release."""
    folder = layout.linked("current")
    if folder is None:
        raise AgentError("no release runs on this host; deploy one")
    return Release.load(folder)
