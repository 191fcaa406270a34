"""The agent's command line; `make deploy` and its siblings call it, and so can a person."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from deploy.agent import member, verbs
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.moving import STEPS

Verb = Callable[[Layout, argparse.Namespace], int]

MOVE = ("--step", "--keeper", "--keeps", "--backup", "--run")
VERBS: dict[str, tuple[Verb, tuple[str, ...]]] = {
    "begin": (verbs.begin, ("name", "--run")),
    "cut-over": (verbs.cut_over, ("name", "--run")),
    "follow": (verbs.follow, ("--run",)),
    "recover": (verbs.recover, ("--once",)),
    "lock": (verbs.take_lock, ("--token", "--reason", "--seconds")),
    "unlock": (verbs.give_lock_back, ("--token",)),
    "secrets": (verbs.secrets, ()),
    "status": (verbs.show, ("--project",)),
    "look": (member.look, ("--own", "--others")),
    "whole": (member.whole, ("--seconds", "--away")),
    "begin-move": (member.begin_move, ("name", *MOVE)),
    "move": (member.move, ("name", *MOVE)),
    "tag": (verbs.tag, ("name",)),
    "drift": (verbs.differences, ()),
    "backup": (verbs.save, ("--wait", "--dry")),
    "aside": (verbs.aside, ()),
    "begin-restore": (verbs.begin_restore, ("name", "--run", "--release", "--hold")),
    "restore": (verbs.put_back, ("name", "--run", "--release", "--hold", "--dry")),
}
KINDS: dict[str, dict[str, object]] = {
    "name": {"help": "a release, or a backup"},
    "--run": {"default": "by-hand", "help": "names this run, for following it"},
    "--release": {"default": "", "help": "a release that has not run yet"},
    "--hold": {"action": "store_true", "help": "start nothing: the other servers come first"},
    "--wait": {"action": "store_true", "help": "wait until no cut-over is under way"},
    "--once": {"action": "store_true", "help": "do not try again where it fails"},
    "--dry": {"action": "store_true", "help": "say what would be done, change nothing"},
    "--token": {"default": "", "help": "tells one holder of the lock from another"},
    "--reason": {"default": "deploy", "help": "why the lock is taken"},
    "--seconds": {"type": float, "help": "how long the lock lasts, or is waited"},
    "--step": {"required": True, "choices": list(STEPS), "help": "what a move does next"},
    "--keeper": {"default": "", "help": "the server that has the data before a move, or after it"},
    "--keeps": {"action": "store_true", "help": "it is this one"},
    "--backup": {"default": "", "help": "a backup that was made for the move"},
    "--own": {"required": True, "help": "this server's private address"},
    "--others": {"default": "", "help": "those of the others, with commas between"},
    "--away": {"default": "", "help": "private addresses of servers that are known to be gone"},
    "--project": {"required": True, "help": "the Compose project"},
}


def main() -> int:
    """Do one verb; the one place that prints a failure."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the project's folder")
    parser.add_argument("--who", default="unknown", help="who asks, for the audit")
    subparsers = parser.add_subparsers(required=True, metavar="VERB")
    for name, (verb, arguments) in VERBS.items():
        command = subparsers.add_parser(name, help=verb.__doc__)
        for argument in arguments:
            command.add_argument(argument, **KINDS[argument])  # type: ignore[arg-type]
        command.set_defaults(verb=verb)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    layout = Layout(options.root)
    if os.geteuid() == 0:
        os.umask(0o022)
    try:
        return int(options.verb(layout, options))
    except (AgentError, OSError) as error:
        failure = verbs.as_failure(error)
        print(failure, file=sys.stderr)
        return failure.code


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into an error, so that what is under way is undone."""
    raise AgentError("it was told to stop (SIGTERM)", verbs.STOPPED)
