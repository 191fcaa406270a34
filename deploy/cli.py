"""`make deploy host=… dry=1`: words after the verb are name=value, as make passes them on."""

import getpass
import os
import platform
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType

from deploy import backups, deploying, inventory, provisioning, verbs
from deploy.errors import DeployError, UsageError
from deploy.inventory import Host
from deploy.release import checkout, registry

FLAGS = {"dry": "say what would be done, change nothing", "verbose": "show everything"}
WHERE = {"host": "one host", "env": "every host of an environment"}


@dataclass(frozen=True)
class Verb:
    """One verb: what it does, the options it takes besides where, and whether it may be dry."""

    help: str
    options: Mapping[str, str]
    dry: bool = False


VERBS = {
    "deploy": Verb(
        "release this checkout on hosts",
        {"from": "a new host only: a folder here with the backup that it starts with"},
        dry=True,
    ),
    "rollback": Verb(
        "go back to the previous release, or to=…", {"to": "a kept release"}, dry=True
    ),
    "provision": Verb("make a bare server ready", {}, dry=True),
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
    signal.signal(signal.SIGTERM, _stop)
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


def run(name: str, options: Mapping[str, str]) -> int:
    """Do a verb; the exit code is that of the host that fared worst."""
    dry, verbose = options.get("dry") == "1", options.get("verbose") == "1"
    if name == "secrets":
        environment = options.get("env", "")
        if not environment:
            known = ", ".join(inventory.environments())
            raise UsageError(f"say whose: env=NAME; there are: {known}")
        if environment not in inventory.environments():
            inventory.choose("", environment)
        return verbs.secrets(environment, options.get("set", ""), print, dry=dry)
    hosts = inventory.choose(options.get("host", ""), options.get("env", ""))
    who = f"{getpass.getuser()}@{platform.node()}"
    work = chosen(name, options, who, dry=dry, verbose=verbose)
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        codes = list(pool.map(lambda host: on_host(host, work, many=len(hosts) > 1), hosts))
    return max(codes)


Work = Callable[[Host, Callable[[str], None]], int]


def chosen(name: str, options: Mapping[str, str], who: str, *, dry: bool, verbose: bool) -> Work:
    """Return what a verb does on one host; what all hosts share is done here, once.

    Raises:
        DeployError: Nothing can be done on any host.
    """
    get = options.get
    if name == "deploy":
        registry.address()
        prepared = deploying.prepare(who, print, verbose=verbose)
        data = get("from", "")
        return lambda host, say: deploying.deploy(host, prepared, say, data=data, dry=dry)
    if name == "provision":
        return lambda host, say: provisioning.provision(host, say, dry=dry, verbose=verbose)
    plan = checkout.load()
    project = plan.project
    if service := get("service", ""):
        checkout.check_service(plan, service)
    lines = get("lines", "100")
    if not lines.isdecimal():
        raise UsageError(f"lines is a number, not {lines!r}")
    works: dict[str, Work] = {
        "rollback": lambda h, say: deploying.rollback(h, project, get("to", ""), who, say, dry=dry),
        "status": lambda h, say: verbs.status(h, project, say),
        "logs": lambda h, say: verbs.logs(
            h, project, get("service", ""), say, lines=int(lines), follow=get("follow") == "1"
        ),
        "exec": lambda h, say: verbs.execute(
            h, project, get("service", ""), get("command", ""), say, dry=dry
        ),
        "dead-letters": lambda h, say: verbs.dead_letters(h, plan, get("do", ""), say),
        "releases": lambda h, say: verbs.releases(h, project, say),
        "audit": verbs.audit,
        "drift": verbs.drift,
        "lock": lambda h, say: verbs.lock(h, who, get("reason", "by hand"), say, dry=dry),
        "unlock": lambda h, say: verbs.unlock(h, say, dry=dry),
        "backup": lambda h, say: backups.backup(h, who, get("to", ""), say, dry=dry),
        "restore": lambda h, say: backups.restore(h, who, get("from", ""), say, dry=dry),
    }
    return works[name]


def on_host(host: Host, work: Work, *, many: bool) -> int:
    """Do the work on one host and say how it went; other hosts go on whatever happens here."""
    mark = f"{host.name}: " if many else ""
    try:
        return work(host, lambda text: print(f"{mark}{text}", flush=True))
    except DeployError as error:
        print(f"herald: {host.name}: {error}", file=sys.stderr)
        return error.code


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
