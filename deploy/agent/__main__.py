"""The agent's command line; `make deploy` and its siblings call it, and so can a person."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from deploy.agent import (
    cutover,
    data,
    detached,
    drift,
    lock,
    prune,
    secret_store,
    settle,
    status,
)
from deploy.agent.audit import Audit
from deploy.agent.layout import AgentError, Layout
from deploy.agent.release import Release

DIFFERENT = 2
Verb = Callable[[Layout, argparse.Namespace], int]


def begin(layout: Layout, options: argparse.Namespace) -> int:
    """Start a cut-over that no lost connection stops, and follow it."""
    return detach(layout, options, "cut-over", options.name)


def begin_restore(layout: Layout, options: argparse.Namespace) -> int:
    """Start a restore that no lost connection stops, and follow it."""
    release = ["--release", options.release] if options.release else []
    return detach(layout, options, "restore", options.name, *release)


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
        data.finish_restore(layout, options.who)
        return cutover.cut_over(layout, options.name, options.who)

    return noted(layout, options, work)


def follow(layout: Layout, options: argparse.Namespace) -> int:
    """Follow a cut-over that was begun before."""
    return detached.follow(layout, options.run)


def recover(layout: Layout, options: argparse.Namespace) -> int:
    """Undo or finish a cut-over that died, or do a restore again that did."""
    data.finish_restore(layout, options.who)
    return settle.recover(layout, options.who)


def acquire(layout: Layout, options: argparse.Namespace) -> int:
    """Take the lock, or renew it."""
    layout.prepare()
    lock.acquire(layout, options.token, options.who, options.reason, options.seconds)
    return os.EX_OK


def release(layout: Layout, options: argparse.Namespace) -> int:
    """Give the lock back."""
    found = lock.release(layout, options.token)
    if not options.token:
        print(f"the lock of {lock.describe(found)} is gone" if found else "there was no lock")
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
    found = Release.load(layout.releases / options.name)
    cutover.check(found, layout)
    for name, one in found.services.items():
        prune.tag(found.project, name, one["image"])
    return os.EX_OK


def differences(layout: Layout, _options: argparse.Namespace) -> int:
    """Print what is not as it should be; exit with 2 where there is something."""
    found = list(drift.differences(layout))
    for line in found:
        print(line)
    return DIFFERENT if found else os.EX_OK


def put_back(layout: Layout, options: argparse.Namespace) -> int:
    """Put the data of a backup in place of today's, or as the first that a release has."""
    if options.dry:
        return data.would_put_back(layout, options)
    return noted(layout, options, lambda: data.put_back(layout, options))


VERBS: dict[str, tuple[Verb, tuple[str, ...]]] = {
    "begin": (begin, ("name", "--run")),
    "cut-over": (cut_over, ("name", "--run")),
    "follow": (follow, ("--run",)),
    "recover": (recover, ()),
    "lock": (acquire, ("--token", "--reason", "--seconds")),
    "unlock": (release, ("--token",)),
    "secrets": (secrets, ()),
    "status": (show, ("--project",)),
    "tag": (tag, ("name",)),
    "drift": (differences, ()),
    "backup": (data.save, ("--wait", "--dry")),
    "begin-restore": (begin_restore, ("name", "--run", "--release")),
    "restore": (put_back, ("name", "--run", "--release", "--dry")),
}
KINDS: dict[str, dict[str, object]] = {
    "name": {"help": "a release, or a backup"},
    "--run": {"default": "by-hand", "help": "names this run, for following it"},
    "--release": {"default": "", "help": "a release that has not run yet"},
    "--wait": {"action": "store_true", "help": "wait until no cut-over is under way"},
    "--dry": {"action": "store_true", "help": "say what would be done, change nothing"},
    "--token": {"default": "", "help": "tells one holder of the lock from another"},
    "--reason": {"default": "deploy", "help": "why the lock is taken"},
    "--seconds": {"type": float, "help": "how long the lock lasts without being renewed"},
    "--project": {"required": True, "help": "the Compose project"},
}


def main() -> int:
    """Do one verb; the one place that prints a failure."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the project's folder")
    parser.add_argument("--who", default="unknown", help="who asks, for the audit")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, (verb, arguments) in VERBS.items():
        one = verbs.add_parser(name, help=verb.__doc__)
        for argument in arguments:
            one.add_argument(argument, **KINDS[argument])  # type: ignore[arg-type]
        one.set_defaults(verb=verb)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    layout = Layout(options.root)
    if os.geteuid() == 0:
        os.umask(0o022)
    try:
        return int(options.verb(layout, options))
    except (AgentError, OSError) as error:
        failure = as_failure(error)
        print(failure, file=sys.stderr)
        return failure.code


def as_failure(error: AgentError | OSError) -> AgentError:
    """Return an error as a finished line; a full or broken disk is nothing that we caused."""
    if isinstance(error, AgentError):
        return error
    return AgentError(f"{error.strerror}: {error.filename or 'while writing'}")


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into an error, so that what is under way is undone."""
    raise AgentError("it was told to stop (SIGTERM)")
