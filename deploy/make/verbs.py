"""The verbs that look and repair; those that pyinfra's operations carry out are elsewhere."""

import getpass
import sys
from collections.abc import Sequence
from typing import Any

from deploy.agent.host.errors import DIFFERENT
from deploy.errors import UnavailableError, UsageError
from deploy.inventory import Host
from deploy.release import checkout, vault
from deploy.ssh import commands
from deploy.ssh.link import Link, Say
from infra.stack import Plan


def status(host: Host, project: str, say: Say) -> int:
    """Say what runs on a host; return 0 where all is as released, 2 where something is not."""
    with Link(host) as link:
        seen = link.status(project, first=commands.preflight(host))
    say(f"release   {seen['current'] or 'none'} (previous: {seen['previous'] or 'none'})")
    say(f"lock      {seen['lock'] or 'free'}")
    say(f"disk      {seen['free_bytes'] // 1_000_000} MB free")
    say(f"backup    {(seen['backups'] or ['none'])[-1]} ({len(seen['backups'])} kept)")
    lacking: list[str] = seen.get("lacking", [])
    if "leads" in seen:
        say(f"copies    {'not whole' if lacking else 'whole'}; leads {listed(seen['leads'])}")
    for line in lacking:
        say(f"  {line}")
    if seen["unfinished"]:
        state = "under way" if seen["busy"] else "died; the next deploy undoes or finishes it"
        say(f"cut-over  {seen['unfinished']}: {state}")
    if restoring := seen["restoring"]:
        state = "under way" if seen["busy"] else "died; the next deploy goes on with it"
        say(f"restore   {restoring['backup'] or 'of another server'}: {state}")
    if moving := seen["moving"]:
        state = "under way" if seen["busy"] else f"make deploy moving={moving['keeper']} goes on"
        say(f"move      of the data of {moving['keeper']}: {state}")
    if seen["moved"]:
        say(f"moved     its data is on {seen['moved']}")
    width = max([12, *(len(container["service"]) for container in seen["containers"])])
    for container in seen["containers"]:
        health = f", {container['health']}" if container["health"] else ""
        line = f"  {container['service']:<{width}} {container['status']}{health}"
        say(f"{line}, since {container['started'][:19]}Z")
    wrong: list[str] = seen["as_released"]
    if wrong:
        say(f"not as released: {', '.join(wrong)}")
    unfinished = seen["unfinished"] or restoring or moving
    return DIFFERENT if wrong or lacking or unfinished else 0


def listed(names: Sequence[str]) -> str:
    """Return names for people."""
    return " and ".join(names) or "nothing"


def releases(host: Host, project: str, say: Say) -> int:
    """List the releases that are kept on a host."""
    with Link(host) as link:
        seen = link.status(project, first=commands.preflight(host))
    for release in seen["releases"]:
        arrow = next(
            (f" <- {name}" for name in ("current", "previous") if seen[name] == release["name"]), ""
        )
        say(f"{release['name']}  by {release['who']}{arrow}")
    if not seen["releases"]:
        say("no release has run here")
    return 0


def audit(host: Host, say: Say) -> int:
    """Print the audit: one JSON line for each phase of everything that was done."""
    path = f"{host.root}/state/audit.jsonl"
    with Link(host) as link:
        return link.stream(commands.sudo(host, "tail", "-n", "500", path), say)


def logs(  # noqa: PLR0913 - the options of the verb
    host: Host, project: str, service: str, say: Say, *, lines: int, follow: bool
) -> int:
    """Print what the containers of a service, or of all, have written."""
    with Link(host) as link:
        return link.stream(commands.logs(host, project, service, lines, follow=follow), say)


def execute(  # noqa: PLR0913 - the options of the verb
    host: Host, project: str, service: str, command: str, say: Say, *, dry: bool
) -> int:
    """Run a command inside a service's container; return its exit code."""
    if not service or not command:
        raise UsageError('say where and what: service=NAME command="…"')
    with Link(host) as link:
        if not dry:
            return link.stream(commands.execute(host, project, service, command), say)
        there = link.status(project, first=commands.preflight(host))["containers"]
    running = [c for c in there if (c["service"], c["status"]) == (service, "running")]
    if not running:
        raise UnavailableError(f"no container of {service} runs")
    say(f"would run {command!r} in {max(running, key=lambda c: c['started'])['name']}")
    return 0


def dead_letters(host: Host, plan: Plan, do: str, say: Say) -> int:
    """Run the dead-letter tool as Redis' operator; return its exit code."""
    script = commands.dead_letters(host, plan, do.split())
    with Link(host) as link:
        return link.stream(script, say)


def events(host: Host, plan: Plan, words: Sequence[str], say: Say) -> int:
    """Print what happens in the streams, as JSON lines, until the input ends."""
    with Link(host) as link:
        return link.stream(commands.events(host, plan, words), say, sys.stdin.fileno())


def drift(host: Host, say: Say) -> int:
    """Print what differs from the current release; return 2 where something does."""
    with Link(host) as link:
        first = commands.preflight(host)
        link.run(first)
        link.install_agent()
        code = link.agent_stream(("drift",), say)
    if code == 0:
        say("no drift")
    return code


def secrets(environment: str, name: str, say: Say, *, dry: bool) -> int:
    """Make an environment's secrets that can be made, or set one from standard input.

    Returns 78 where one is still missing, unless this was to set one, and has.
    """
    plan = checkout.load()
    if dry:
        texts: dict[str, Any] = vault.load(environment)
    else:
        if vault.ensure_key():
            say(f"made an age key: {vault.key_file()}; keep a copy, nothing can be read without it")
        before = vault.load(environment)
        texts = vault.fill(plan, before)
        if name:
            text = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read()
            texts = vault.put(plan, texts, name, text)
        if texts != before:
            say(f"wrote {vault.save(environment, texts)}: commit it")
    lacking = vault.missing(plan, texts)
    for known in sorted(texts):
        say(f"  {known:<28} set")
    for secret in lacking:
        say(f"  {secret:<28} missing: make secrets env={environment} set={secret}")
    return 78 if lacking and not name else 0
