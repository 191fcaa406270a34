"""The verbs that look, keep and repair; `deploying` has those that release, `backups` data."""

import getpass
import os
import secrets as random
import sys
from collections.abc import Callable
from typing import Any

from deploy import commands
from deploy.errors import UnavailableError, UsageError
from deploy.inventory import Host
from deploy.release import checkout, vault
from deploy.remote import Remote
from infra.stack import Plan

Say = Callable[[str], None]


def status(host: Host, project: str, say: Say) -> int:
    """Say what runs on a host; return 0 where all is as released, 2 where something is not."""
    with Remote(host) as remote:
        found = remote.status(project, first=commands.preflight(host))
    say(f"release   {found['current'] or 'none'} (previous: {found['previous'] or 'none'})")
    say(f"lock      {found['lock'] or 'free'}")
    say(f"disk      {found['free_bytes'] // 1_000_000} MB free")
    say(f"backup    {(found['backups'] or ['none'])[-1]} ({len(found['backups'])} kept)")
    if found["unfinished"]:
        state = "under way" if found["busy"] else "died; the next deploy undoes or finishes it"
        say(f"cut-over  {found['unfinished']}: {state}")
    for one in found["containers"]:
        health = f", {one['health']}" if one["health"] else ""
        say(f"  {one['service']:<12} {one['status']}{health}, since {one['started'][:19]}Z")
    wrong: list[str] = found["as_released"]
    if wrong:
        say(f"not as released: {', '.join(wrong)}")
    return 2 if wrong or found["unfinished"] else 0


def releases(host: Host, project: str, say: Say) -> int:
    """List the releases that are kept on a host."""
    with Remote(host) as remote:
        found = remote.status(project, first=commands.preflight(host))
    for one in found["releases"]:
        link = next(
            (f" <- {name}" for name in ("current", "previous") if found[name] == one["name"]), ""
        )
        say(f"{one['name']}  by {one['who']}{link}")
    if not found["releases"]:
        say("no release has run here")
    return 0


def audit(host: Host, say: Say) -> int:
    """Print the audit: one JSON line for each phase of everything that was done."""
    path = f"{host.root}/state/audit.jsonl"
    with Remote(host) as remote:
        return remote.stream(commands.sudo(host, "tail", "-n", "500", path), say)


def logs(  # noqa: PLR0913 - the options of the verb
    host: Host, project: str, service: str, say: Say, *, lines: int, follow: bool
) -> int:
    """Print what the containers of a service, or of all, have written."""
    with Remote(host) as remote:
        return remote.stream(commands.logs(host, project, service, lines, follow=follow), say)


def execute(  # noqa: PLR0913 - the options of the verb
    host: Host, project: str, service: str, command: str, say: Say, *, dry: bool
) -> int:
    """Run a command inside a service's container; return its exit code."""
    if not service or not command:
        raise UsageError('say where and what: service=NAME command="…"')
    with Remote(host) as remote:
        if not dry:
            return remote.stream(commands.execute(host, project, service, command), say)
        there = remote.status(project, first=commands.preflight(host))["containers"]
    running = [one for one in there if one["service"] == service and one["status"] == "running"]
    if not running:
        raise UnavailableError(f"no container of {service} runs")
    say(f"would run {command!r} in {max(running, key=lambda one: one['started'])['name']}")
    return 0


def dead_letters(host: Host, plan: Plan, do: str, say: Say) -> int:
    """Run the dead-letter tool as Redis' operator; return its exit code."""
    script = commands.dead_letters(host, plan, do.split())
    with Remote(host) as remote:
        return remote.stream(script, say)


def drift(host: Host, say: Say) -> int:
    """Print what differs from the current release; return 2 where something does."""
    with Remote(host) as remote:
        first = commands.preflight(host)
        remote.run(first)
        remote.install_agent()
        code = remote.agent_stream(("drift",), say)
    if code == 0:
        say("no drift")
    return code


def lock(host: Host, who: str, reason: str, say: Say, *, dry: bool) -> int:
    """Keep everybody from deploying until `unlock`."""
    token = f"by-hand-{random.token_hex(4)}"
    words = ("--who", who, "lock", "--token", token, "--reason", reason)
    with Remote(host) as remote:
        first = commands.preflight(host)
        if dry:
            held = remote.status("", first=first)["lock"]
            say(f"would be refused: locked by {held}" if held else f"would lock: {reason}")
            return os.EX_TEMPFAIL if held else 0
        remote.agent(*words, first=first)
    say(f"locked by {who}: {reason}")
    return 0


def unlock(host: Host, say: Say, *, dry: bool) -> int:
    """Take the lock away, whoever holds it."""
    with Remote(host) as remote:
        first = commands.preflight(host)
        if dry:
            held = remote.status("", first=first)["lock"]
            say(f"would take away the lock of {held}" if held else "there is no lock")
        else:
            say(remote.agent("unlock", first=first).strip())
    return 0


def secrets(environment: str, name: str, say: Say, *, dry: bool) -> int:
    """Make an environment's secrets that can be made, or set one from standard input.

    Returns 78 where one is still missing.
    """
    plan = checkout.load()
    if dry:
        found: dict[str, Any] = vault.load(environment)
    else:
        if vault.ensure_key():
            say(f"made an age key: {vault.key_file()}; keep a copy, nothing can be read without it")
        before = vault.load(environment)
        found = vault.fill(plan, before)
        if name:
            text = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read()
            found = vault.put(plan, found, name, text)
        if found != before:
            say(f"wrote {vault.save(environment, found)}: commit it")
    lacking = vault.missing(plan, found)
    for one in sorted(found):
        say(f"  {one:<28} set")
    for one in lacking:
        say(f"  {one:<28} missing: make secrets env={environment} set={one}")
    return 78 if lacking else 0
