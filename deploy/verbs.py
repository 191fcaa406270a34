"""The verbs that look, keep and repair; `deploying` has those that release."""

import getpass
import secrets as random
import sys
from collections.abc import Callable
from typing import Any

from deploy import checkout, commands, vault
from deploy.errors import UsageError
from deploy.heartbeat import locked
from deploy.inventory import Host
from deploy.remote import Remote

Say = Callable[[str], None]


def status(host: Host, project: str, say: Say) -> int:
    """Say what runs on a host; return 0 where all is as released, 2 where something is not."""
    with Remote(host) as remote:
        found = remote.status(project, first=commands.preflight(host))
    say(f"release   {found['current'] or 'none'} (previous: {found['previous'] or 'none'})")
    say(f"lock      {found['lock'] or 'free'}")
    say(f"disk      {found['free_bytes'] // 1_000_000} MB free")
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


def execute(host: Host, project: str, service: str, command: str, say: Say) -> int:
    """Run a command inside a service's container; return its exit code."""
    if not service or not command:
        raise UsageError('say where and what: service=NAME command="…"')
    with Remote(host) as remote:
        return remote.stream(commands.execute(host, project, service, command), say)


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


def lock(host: Host, who: str, reason: str, say: Say) -> int:
    """Keep everybody from deploying until `unlock`."""
    with Remote(host) as remote:
        token = f"by-hand-{random.token_hex(4)}"
        remote.agent(
            "--who",
            who,
            "lock",
            "--token",
            token,
            "--reason",
            reason,
            first=commands.preflight(host),
        )
    say(f"locked by {who}: {reason}")
    return 0


def unlock(host: Host, say: Say) -> int:
    """Take the lock away, whoever holds it."""
    with Remote(host) as remote:
        say(remote.agent("unlock", first=commands.preflight(host)).strip())
    return 0


def backup(host: Host, who: str, say: Say) -> int:
    """Save Redis and PostgreSQL into a folder on the host."""
    return _kept_alone(host, who, "backup", ("backup",), say)


def restore(host: Host, who: str, name: str, say: Say) -> int:
    """Put the data of a backup in place of today's, which is backed up first."""
    if not name:
        with Remote(host) as remote:
            found = remote.status("", first=commands.preflight(host))["backups"]
        raise UsageError(f"say which: from=NAME; there are: {', '.join(found) or 'none'}")
    return _kept_alone(host, who, f"restore of {name}", ("restore", name), say)


def _kept_alone(host: Host, who: str, reason: str, words: tuple[str, ...], say: Say) -> int:
    with Remote(host) as remote:
        remote.run(commands.preflight(host))
        with locked(remote, who, reason):
            remote.install_agent()
            return remote.agent_stream(("--who", who, *words), say)


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
