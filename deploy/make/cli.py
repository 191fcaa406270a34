"""`make deploy host=… dry=1`: words after the verb are name=value, as make passes them on."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from deploy.errors import DeployError, UsageError

FLAGS = {"dry": "say what would be done, change nothing", "verbose": "show everything"}
WHERE = {"host": "one host", "env": "every host of an environment"}

GONE = "one of three servers that share their stores, which is gone: go on with two"


@dataclass(frozen=True)
class Verb:
    """One verb: what it does, the options it takes besides where, and whether it may be dry."""

    help: str
    options: Mapping[str, str]
    dry: bool = False


VERBS = {
    "deploy": Verb(
        "release this checkout on hosts",
        {
            "from": "a new host only: a folder here with the backup that it starts with",
            "without": GONE,
            "moving": "of three servers the one whose data goes to all, or that goes on alone",
        },
        dry=True,
    ),
    "rollback": Verb(
        "go back to the previous release, or to=…",
        {"to": "a kept release", "without": GONE},
        dry=True,
    ),
    "provision": Verb("make a bare server ready", {}, dry=True),
    "replace": Verb(
        "make a new server ready in the place of a lost one of three, and have it join", {}
    ),
    "status": Verb("what runs; exit 2 where it is not as released", {}),
    "logs": Verb(
        "what containers have written",
        {"service": "one service", "lines": "how many (100)", "follow": "1: go on"},
    ),
    "exec": Verb("run a command in a container", {"service": "where", "command": "what"}, dry=True),
    "dead-letters": Verb(
        "what could not be published or handled, as Redis' operator",
        {"do": "list (as without it), show ID, replay ID, drop ID; all instead of ids"},
    ),
    "events": Verb(
        "what lands in the streams, as Redis' operator, as JSON lines until the input ends",
        {
            "event": "one event",
            "user": "one user's id",
            "since": "from then on, as 10min, 2h or a time",
            "after": "behind these places, as JSON",
        },
    ),
    "releases": Verb("the releases that are kept", {}),
    "audit": Verb("what was done, as JSON lines", {}),
    "drift": Verb("what differs from the release; exit 2 where something does", {}),
    "lock": Verb("keep everybody from deploying", {"reason": "why"}, dry=True),
    "unlock": Verb("take the lock away", {}, dry=True),
    "backup": Verb(
        "save Redis and PostgreSQL on the host",
        {"to": "a folder here that gets a copy, as FOLDER/HOST/BACKUP"},
        dry=True,
    ),
    "restore": Verb(
        "put a backup in place",
        {"from": "a backup on the host, or a folder here (with a slash in it)"},
        dry=True,
    ),
    "secrets": Verb(
        "make, set (from standard input) and list secrets; wants env=…",
        {"set": "a secret"},
        dry=True,
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Do one verb on every chosen host; the one place that prints a failure."""
    try:
        verb, options = parse(arguments)
        return run(verb, options)
    except DeployError as error:
        print(f"herald: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(
            "herald: interrupted; what a host has begun it finishes: see make status",
            file=sys.stderr,
        )
        return 130


def usage() -> str:
    """Return the whole help."""
    lines = ["usage: make VERB host=NAME | env=NAME [name=value …]", ""]
    for name, verb in VERBS.items():
        lines.append(f"  {name:<10} {verb.help}")
        shown = {**verb.options, **({"dry": "1: " + FLAGS["dry"]} if verb.dry else {})}
        lines += [f"      {option}=…  {text}" for option, text in shown.items()]
    lines += ["", *(f"  {name}=…  {text}" for name, text in WHERE.items())]
    lines += [f"  verbose=1  {FLAGS['verbose']}", ""]
    lines += ["environment: REGISTRY=…  deploys images by way of a registry, not over SSH", ""]
    lines.append("exit codes: 0 done, 1 rolled back, 2 differs, 64 usage, 65 not fit to deploy,")
    lines.append("            69 unavailable, 75 locked, 78 not configured")
    return "\n".join(lines)


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the verb and its options.

    Raises:
        UsageError: The command line is wrong; the message has the help.
    """
    if not arguments or arguments[0] in {"help", "--help", "-h"}:
        if arguments:
            print(usage())
            raise SystemExit(os.EX_OK)
        raise UsageError(f"no verb\n{usage()}")
    name, *words = arguments
    if name not in VERBS:
        raise UsageError(f"no verb is called {name!r}\n{usage()}")
    verb = VERBS[name]
    allowed = {*WHERE, *verb.options, "verbose", *(["dry"] if verb.dry else [])}
    options: dict[str, str] = {}
    for word in words:
        option, equals, value = word.partition("=")
        if not equals or option not in allowed:
            raise UsageError(
                f"{name} does not take {word!r}; it takes {', '.join(sorted(allowed))}"
            )
        options[option] = value
    for flag in (*FLAGS, "follow"):
        if options.get(flag, "") not in {"", "0", "1"}:
            raise UsageError(f"{flag} is 1 or 0, not {options[flag]!r}")
    return name, options


def run(verb: str, options: Mapping[str, str]) -> int:
    """Do a verb; only here is imported what that takes, the better part of a second of it."""
    import gevent  # type: ignore[import-untyped] # noqa: PLC0415
    from gevent import monkey  # noqa: PLC0415

    monkey.patch_all()  # before the rest: pyinfra's hosts are worked on by greenlets
    main_greenlet = gevent.getcurrent()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        """End the verb itself: raised in a host's greenlet it can be lost, in a fork for one."""
        if gevent.getcurrent() is main_greenlet:
            raise KeyboardInterrupt
        gevent.kill(main_greenlet, KeyboardInterrupt)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupt)
    from deploy.make import dispatch  # noqa: PLC0415

    return dispatch.run(verb, options)
