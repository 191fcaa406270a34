"""What does each verb, on which hosts: a recipe by way of pyinfra, or what only looks."""

import functools
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy import inventory, operations
from deploy.errors import DeployError, UsageError
from deploy.group import members
from deploy.host import deploying
from deploy.inventory import Host
from deploy.make import runner, verbs
from deploy.release import checkout, registry
from deploy.ssh.link import Say


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
    if name == "replace":
        return replace(hosts, options, dry=dry, verbose=verbose)
    if name in RECIPES:
        return recipe(name, hosts, options, dry=dry, verbose=verbose)
    if name in STREAMS and members.is_group(checkout.load()):
        hosts = hosts[:1]  # whichever is asked, it asks the one that is written to
    runner.show(many=len(hosts) > 1)
    work = chosen(name, options, dry=dry)
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        codes = list(pool.map(lambda host: on_host(host, work, many=len(hosts) > 1), hosts))
    return max(codes)


def replace(hosts: Sequence[Host], options: Mapping[str, str], *, dry: bool, verbose: bool) -> int:
    """Make a new server ready in the place of a lost one, and have it join the others.

    Raises:
        DeployError: The stack is one server's, or it is not said which server is new.
    """
    members.check_replaced(checkout.load(), hosts, options.get("host", ""))
    code = recipe("provision", hosts, {}, dry=dry, verbose=verbose)
    if code:
        return code
    everywhere = inventory.choose("", hosts[0].environment)
    return recipe("deploy", everywhere, {}, dry=dry, verbose=verbose)


Work = Callable[[Host, Say], int]
STREAMS = {"events", "dead-letters"}
RECIPES = {"deploy": "release"} | {
    name: name for name in ("rollback", "provision", "backup", "restore", "lock", "unlock")
}
ARGUMENTS = {"restore": {"from": "source"}, "deploy": {"from": "data"}}
"""What an option is called in a recipe, where it cannot have its own name."""
EVERY_VERBS = {"host", "env", "dry", "verbose"}
"""What no recipe is given: it is said where, and how, the recipe runs."""


def recipe(
    name: str, hosts: Sequence[Host], options: Mapping[str, str], *, dry: bool, verbose: bool
) -> int:
    """Have pyinfra do a verb; what all hosts share is done here, once.

    Raises:
        DeployError: Nothing can be done on any host.
    """
    given = {
        ARGUMENTS.get(name, {}).get(option, option): value
        for option, value in options.items()
        if value and option not in EVERY_VERBS
    }
    common: dict[str, Any] = {}
    if name == "deploy":
        registry.address()
        common["common"] = deploying.prepare(operations.who(), print, verbose=verbose)
    elif name == "restore":
        common["source"] = ""
    if name not in {"deploy", "provision"}:
        operations.project()
    # What provision imports takes a good part of a second, which no other verb needs.
    module = importlib.import_module(f"deploy.recipes.{RECIPES[name]}")
    work = functools.partial(getattr(module, RECIPES[name]), **{**common, **given})
    report = name == "provision"
    return runner.run(hosts, work, dry=dry, report=report, verbose=verbose)


def chosen(name: str, options: Mapping[str, str], *, dry: bool) -> Work:
    """Return what a verb that changes no server does on one host.

    Raises:
        DeployError: Nothing can be done on any host.
    """
    get = options.get
    plan = checkout.load()
    project = plan.project
    if service := get("service", ""):
        checkout.check_service(plan, service)
    lines = get("lines", "100")
    if not lines.isdecimal():
        raise UsageError(f"lines is a number, not {lines!r}")
    works: dict[str, Work] = {
        "status": lambda h, say: verbs.status(h, project, say),
        "logs": lambda h, say: verbs.logs(
            h, project, get("service", ""), say, lines=int(lines), follow=get("follow") == "1"
        ),
        "exec": lambda h, say: verbs.execute(
            h, project, get("service", ""), get("command", ""), say, dry=dry
        ),
        "dead-letters": lambda h, say: verbs.dead_letters(h, plan, get("do", ""), say),
        "events": lambda h, say: verbs.events(h, plan, chosen_of(options), say),
        "releases": lambda h, say: verbs.releases(h, project, say),
        "audit": verbs.audit,
        "drift": verbs.drift,
    }
    return works[name]


def chosen_of(options: Mapping[str, str]) -> list[str]:
    """Return which events are meant, as options of the tool."""
    given = {name: value for name, value in options.items() if value and name not in EVERY_VERBS}
    return [word for name, value in given.items() for word in (f"--{name}", value)]


def on_host(host: Host, work: Work, *, many: bool) -> int:
    """Do the work on one host and say how it went; other hosts go on whatever happens here."""
    mark = f"{host.name}: " if many else ""
    try:
        return work(host, lambda text: print(f"{mark}{text}", flush=True))
    except DeployError as error:
        print(f"herald: {host.name}: {error}", file=sys.stderr)
        return error.code
