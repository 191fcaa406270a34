"""A backup in place of the data that three servers share.

The server with the Redis that is written to puts it in place; PostgreSQL's goes to whichever leads.
What writes is stopped on all meanwhile, and the two other Redises too: they begin again as copies.
Each server notes what it has stopped, and a deploy or a boot starts that again.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.errors import DeployError, RemoteError, UnavailableError, UsageError
from deploy.group.group import WHOLE_WITHIN, Group
from deploy.group.looking import look
from deploy.group.members import Member, on_each
from deploy.host import backups, deploying
from deploy.host.running import followed
from deploy.inventory import expanded
from deploy.outcome import Act


def restore(
    members: Sequence[Member], project: str, source: str, who: str, *, dry: bool
) -> Iterator[Act]:
    """Put a backup in place of what the servers share; today's data is backed up first.

    Args:
        members: All servers, in the inventory's order.
        project: The Compose project.
        source: A backup on one of them, or a folder here, with a slash in its name.
        who: Who asks.
        dry: Say what would be done.

    Raises:
        DeployError: Nothing was changed, and why.
    """
    group = Group(members, [], look(members, project, []), who)
    for member in members:
        deploying.check_there(member.host, group.looks[member.host.name].status, new=False, dry=dry)
    if unfinished(group):
        raise UnavailableError("a restore is unfinished: make deploy settles that")
    leading = next((m for m in members if group.looks[m.host.name].status.get("saves")), None)
    if leading is None:
        raise UnavailableError("no server leads, so nothing can be put in place: see make status")
    keeper = kept_by(group, source, leading)
    if lack := group.lacking(leading):
        raise UnavailableError(f"the copies are not whole, so nothing is put in place: {lack}")
    if dry:
        leading.say("would stop the services of all servers, back up today's data,")
        leading.say(f"put backup {source} in its place, and have the other servers follow")

    def put_in_place() -> int:
        with group.locks(f"restore of {source}"):
            name = brought(leading, keeper, source)
            leading.link.agent("restore", name, "--dry")  # whether it fits, before anything stops
            return replace(group, leading, name)

    yield put_in_place


def kept_by(group: Group, source: str, leading: Member) -> Member | None:
    """Return the server that keeps a backup, the one that leads first; None for a folder here.

    Raises:
        UsageError: No server does.
    """
    if "/" in source:
        backups.checked(expanded(source))
        return None
    members = sorted(group.members, key=lambda member: member is not leading)
    kept = {member.host.name: group.looks[member.host.name].status["backups"] for member in members}
    for member in members:
        if source in kept[member.host.name]:
            return member
    there = ", ".join(sorted({name for names in kept.values() for name in names})) or "none"
    raise UsageError(
        f"no server has a backup {source!r}: say from=NAME or a folder; there are: {there}"
    )


def brought(leading: Member, keeper: Member | None, source: str) -> str:
    """Bring a backup to the server that puts it in place; return its name there."""
    if keeper is leading:
        return source
    if keeper is None:
        return backups.send(leading.link, expanded(source), leading.say)
    with tempfile.TemporaryDirectory(prefix="herald-restore-") as folder:
        copy = backups.fetch(keeper.link, source, Path(folder), keeper.say)
        return backups.send(leading.link, copy, leading.say)


def replace(group: Group, leading: Member, name: str) -> int:
    """Have one server replace the data of all; return how that ended.

    Raises:
        DeployError: A server does not stand aside, or does not come back.
    """
    others = [member for member in group.members if member is not leading]
    on_each(group.members, lambda member: member.link.install_agent())
    try:
        on_each(others, lambda member: done_by(group, member, "aside"))
    except DeployError:
        go_on(group)
        raise
    # Where the connection is lost for good, they stay aside: a deploy goes on with it.
    words = ("--who", group.who, "begin-restore", name, "--hold")
    code = followed(leading.link, words, leading.say)
    go_on(group)
    if lack := group.lacking(leading, seconds=WHOLE_WITHIN):
        raise UnavailableError(f"the data is in place, and the copies are not whole: {lack}")
    leading.say("the copies are whole")
    return code


def go_on(group: Group) -> None:
    """Have all servers start what they have stopped."""
    on_each(group.there, lambda member: done_by(group, member, "recover", "--once"))


def done_by(group: Group, member: Member, *words: str) -> None:
    """Have a server do a verb of its agent's.

    Raises:
        RemoteError: It failed.
    """
    lines: list[str] = []
    if code := member.link.agent_stream(("--who", group.who, *words), lines.append):
        raise RemoteError(lines[-1] if lines else "no answer", code)


def unfinished(group: Group) -> list[Member]:
    """Return the servers that have stopped something for a restore that has died."""
    return [m for m in group.there if group.looks[m.host.name].status["restoring"]]


def resume(group: Group) -> int:
    """Do a restore to its end whose deployer has died: first the data, then all servers start."""
    with group.locks("a restore that has died"):
        for member in unfinished(group):
            member.link.install_agent()
            seen = group.looks[member.host.name].status["restoring"]
            if not seen["placed"]:
                words = ("--who", group.who, "begin-restore", seen["backup"], "--hold")
                if code := followed(member.link, words, member.say):
                    return code
        on_each(unfinished(group), lambda member: done_by(group, member, "recover", "--once"))
    return 0
