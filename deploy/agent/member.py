"""What each verb does that only one of three servers has, or one that becomes so."""

import argparse
import json
import os

from deploy.agent import moving, verbs
from deploy.agent.copies import neighbours
from deploy.agent.copies.copies import Copies, wait_until_whole
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import DIFFERENT, AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.lock import CUT_OVER, flock
from deploy.agent.host.release import Release


def look(_layout: Layout, options: argparse.Namespace) -> int:
    """Print what this server knows of itself and its way to others, as JSON."""
    print(json.dumps(neighbours.look(options.own, listed(options.others))))
    return os.EX_OK


def whole(layout: Layout, options: argparse.Namespace) -> int:
    """Wait until all copies of the stores are there; print what lacks, and exit with 2 for that."""
    folder = moving.raised(layout) or layout.linked("current")
    copies = Copies.of(Release.load(folder)) if folder else None
    if copies is None:
        raise AgentError("no release with copies of the stores runs here", os.EX_UNAVAILABLE)
    lines = wait_until_whole(copies, options.seconds or 0.0, listed(options.away))
    for line in lines:
        print(line)
    return DIFFERENT if lines else os.EX_OK


def begin_move(layout: Layout, options: argparse.Namespace) -> int:
    """Start a step of a move that no lost connection stops, and follow it."""
    given = ("--backup", options.backup, "--keeper", options.keeper)
    keeps = ["--keeps"] if options.keeps else []
    return verbs.detach(
        layout, options, "move", options.name, "--step", options.step, *given, *keeps
    )


def move(layout: Layout, options: argparse.Namespace) -> int:
    """Do a step of a move now, in this process."""

    def work() -> int:
        with flock(layout, CUT_OVER, wait=True):
            audit = Audit(layout.audit, options.who, options.name)
            moving.STEPS[options.step](layout, options, audit)
        return os.EX_OK

    return verbs.noted(layout, options, work)


def listed(text: str) -> list[str]:
    """Return addresses that a command line names with commas between."""
    return [address for address in text.split(",") if address]
