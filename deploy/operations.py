"""Herald's operations. Each does the whole of its verb: pyinfra has no `finally` across operations.

Give each a `name`: pyinfra prints the arguments of those that have none.
"""

import functools
import getpass
import platform
from collections.abc import Iterator
from functools import partial

from pyinfra.api.operation import operation

from deploy.errors import DeployError
from deploy.group import members as group
from deploy.group import moving as group_moving
from deploy.group import releasing, restoring, returning
from deploy.host import backups, deploying, heartbeat, provisioning, rolling_back
from deploy.host.deploying import Prepared
from deploy.inventory import Host
from deploy.outcome import Act, Commands, carried_out, here, refused, say_on
from deploy.release import checkout, registry
from deploy.ssh.link import Link, Say
from infra.stack import Plan


def who() -> str:
    """Return who asks, for locks and the audit."""
    return f"{getpass.getuser()}@{platform.node()}"


@functools.cache
def plan() -> Plan:
    """Return the plan of this checkout.

    Raises:
        DeployError: services.yml is wrong.
    """
    return checkout.load()


def project() -> str:
    """Return the Compose project of this checkout.

    Raises:
        DeployError: services.yml is wrong.
    """
    return plan().project


@functools.cache
def prepared() -> Prepared:
    """Return what all hosts of a release have in common; nothing is built yet.

    Raises:
        DeployError: Nothing can be deployed from here, and why.
    """
    registry.address()
    return deploying.prepare(who(), say_on(here()), verbose=False)


@operation()
def release(
    data: str = "", common: Prepared | None = None, without: str = "", moving: str = ""
) -> Commands:
    """Release this checkout.

    Args:
        data: A folder here with the backup that a new host starts with.
        common: What was prepared for all hosts, where that was done already.
        without: One of three servers that share their stores, which is gone and left out.
        moving: One of three servers whose data goes to all, or that goes on alone.
    """

    def work(link: Link, say: Say, dry: bool) -> Iterator[Act]:  # noqa: FBT001 - a Work
        ready = common or prepared()
        if moving:
            group.check_moving(data, without)
            members = group.members_of(ready.plan)
            return group_moving.move(members, ready, moving, dry=dry) if members else iter(())
        if not group.is_group(ready.plan):
            group.check_alone(without)
            return deploying.release(link, ready, data, say, dry=dry)
        members = group.members_of(ready.plan)
        return releasing.release(members, ready, data, without, dry=dry) if members else iter(())

    yield from carried_out(work)


@operation()
def rollback(to: str = "", without: str = "") -> Commands:
    """Go back to the previous release, or to another one that is kept."""

    def work(link: Link, say: Say, dry: bool) -> Iterator[Act]:  # noqa: FBT001 - a Work
        if not group.is_group(plan()):
            group.check_alone(without)
            return rolling_back.rollback(link, project(), to, who(), say, dry=dry)
        members = group.members_of(plan())
        go_back = partial(returning.rollback, members, project(), to, without, who(), dry=dry)
        return go_back() if members else iter(())

    yield from carried_out(work)


@operation()
def backup(to: str = "") -> Commands:
    """Save Redis and PostgreSQL on the host; `to` is a folder here that gets a copy.

    Of servers that share their stores the one that leads does so.
    """

    def work(link: Link, say: Say, dry: bool) -> Iterator[Act]:  # noqa: FBT001 - a Work
        if group.is_group(plan()) and not backups.saves(link, project()):
            say("another server leads, and backs up")
            return iter(())
        return backups.backup(link, who(), to, say, dry=dry)

    yield from carried_out(work)


@operation()
def restore(source: str = "") -> Commands:
    """Put a backup in place: one on the host, or a folder here, with a slash in its name."""

    def work(link: Link, say: Say, dry: bool) -> Iterator[Act]:  # noqa: FBT001 - a Work
        if not group.is_group(plan()):
            return backups.restore(link, who(), source, say, dry=dry)
        members = group.members_of(plan())
        put = partial(restoring.restore, members, project(), source, who(), dry=dry)
        return put() if members else iter(())

    yield from carried_out(work)


@operation()
def lock(reason: str = "by hand") -> Commands:
    """Keep everybody from deploying."""
    yield from carried_out(lambda link, say, dry: heartbeat.lock(link, who(), reason, say, dry=dry))


@operation()
def unlock() -> Commands:
    """Take the lock away, whoever holds it."""
    yield from carried_out(lambda link, say, dry: heartbeat.unlock(link, say, dry=dry))


@operation()
def close_ssh(host: Host) -> Commands:
    """Let only keys in, and root no more; `host` has the user who deploys from now on."""
    yield from carried_out(lambda link, say, dry: provisioning.close_ssh(link, host, say, dry=dry))


@operation()
def refuse(error: DeployError) -> Commands:
    """Fail this host, and no other, with an error of the recipe itself."""
    yield from refused(error)
