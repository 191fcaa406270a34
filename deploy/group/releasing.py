"""A release on three servers that share their stores: brought up together, changed in turn.

Nothing is changed before every server was looked at and every lock is held. A server is touched
when the copies of the stores are whole without it, and the next one when they are whole with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from deploy.errors import UnavailableError, UsageError
from deploy.group.group import Group, gone
from deploy.group.looking import look
from deploy.group.members import Member, membership
from deploy.group.restoring import resume, unfinished
from deploy.group.sending import releases, send
from deploy.group.turns import bring_up, in_turn
from deploy.host import deploying
from deploy.host.deploying import Prepared
from deploy.outcome import Act
from deploy.release.release import Release


def release(
    members: Sequence[Member], prepared: Prepared, data: str, without: str, *, dry: bool
) -> Iterator[Act]:
    """Release to a group; the exit code is 0 where the release runs, 1 where it was rolled back.

    Args:
        members: All servers, in the inventory's order.
        prepared: What every host has in common.
        data: A backup that a new host starts with, which three servers do not.
        without: The name of a server that is gone, and left out.
        dry: Say what would be done.

    Raises:
        DeployError: Nothing was changed, and why.
    """
    if data:
        raise UsageError("from= is for one server; three begin with nothing")
    group = checked(members, prepared, gone(members, without), dry=dry)
    if unfinished(group) and not dry:
        yield partial(resume, group)
        group = checked(members, prepared, gone(members, without), dry=dry)
    founding = may_begin(group)
    built = prepared.images.built()
    new = releases(group, prepared, built, group.there[0].address if founding else "")
    joining, changing = waiting(group, new)
    if not joining and not changing:
        for member in group.there:
            runs = group.looks[member.host.name].current
            member.say(f"nothing to do: {runs} runs just so")
        return
    first = next((member for member in group.running() if member not in joining), None)
    if first and (lack := group.lacking(first, joining)):
        raise UnavailableError(f"the copies are not whole, so no server may be touched: {lack}")
    if dry:
        tell_plan(group, new, joining, changing)

    def send_and_change() -> int:
        name = next(iter(new.values())).name
        with group.locks(f"deploy of {name}"):
            send(group, prepared, new, built, [*joining, *changing])
            if founding:
                return bring_up(group, name)
            return in_turn(group, name, joining, changing)

    yield send_and_change


def checked(
    members: Sequence[Member], prepared: Prepared, away: Sequence[Member], *, dry: bool
) -> Group:
    """Return a group as it is seen, where nothing speaks against a deploy.

    Raises:
        DeployError: Something does, here or on one of the servers.
    """
    hosts = [member.host for member in members]
    for host in hosts:
        deploying.check_here(host, prepared, "", membership(hosts, host))
    group = Group(members, away, look(members, prepared.plan.project, away), prepared.who)
    for member in group.there:
        status = group.looks[member.host.name].status
        deploying.check_there(member.host, status, new=False, dry=dry)
    return group


def may_begin(group: Group) -> bool:
    """Whether the servers are brought up for the first time.

    Raises:
        DeployError: Some of them have a release, but too few to decide who is written to.
    """
    running = group.running()
    if not running:
        if group.away:
            raise UsageError("three servers are brought up together: deploy without without=")
        return True
    if any("leads" not in group.looks[member.host.name].status for member in running):
        names = ", ".join(member.host.name for member in running)
        raise UnavailableError(
            f"{names} runs a release for one server alone; to move its data to three: "
            f"make deploy env={running[0].host.environment} moving={running[0].host.name}"
        )
    if len(running) < len(group.members) - 1:
        raise UnavailableError(
            f"only {running[0].host.name} has a release, and it takes two to know what was "
            "written last; docs/SCALE.md says how to begin again from one"
        )
    return False


def waiting(group: Group, new: Mapping[str, Release]) -> tuple[list[Member], list[Member]]:
    """Return who has to join, and who has to change, in the order of their turns.

    Who has no release joins, and so does who runs something else than its release says.
    """
    joining, changing = [], []
    for member in group.there:
        status = group.looks[member.host.name].status
        if not status["current"] or status["as_released"] or status["unfinished"]:
            joining.append(member)
        elif status["content"] != new[member.host.name].content:
            changing.append(member)
    return joining, group.in_turn(changing)


def tell_plan(
    group: Group,
    new: Mapping[str, Release],
    joining: Sequence[Member],
    changing: Sequence[Member],
) -> None:
    """Say what a deploy would do."""
    for turn, member in enumerate([*joining, *changing], 1):
        status = group.looks[member.host.name].status
        place = status["current"] or "nothing"
        member.say(f"would release {new[member.host.name].name} in place of {place}, turn {turn}")
        if leads := status.get("leads"):
            member.say(f"would first have another server lead {' and '.join(leads)}")
    for member in group.away:
        member.say("is left out")
