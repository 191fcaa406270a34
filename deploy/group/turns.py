"""Servers that change to a release: all at once the first time, afterwards one after the other."""

from collections.abc import Sequence
from functools import partial

from deploy.errors import DeployError, UnavailableError
from deploy.group.group import WHOLE_WITHIN, Group
from deploy.group.members import Member, on_each
from deploy.host.running import followed

BROUGHT_UP_WITHIN = 600


def change(group: Group, name: str, member: Member) -> int:
    """Have a server change to a release; return how that ended."""
    member.say(f"changes to {name}")
    return followed(member.link, ("--who", group.who, "begin", name), member.say)


def bring_up(group: Group, name: str) -> int:
    """Have all servers begin at once: none of their stores is there without a second one."""
    codes = on_each(group.there, partial(change, group, name))
    if any(codes):
        return max(codes)
    if lack := group.lacking(group.there[0], seconds=BROUGHT_UP_WITHIN):
        raise UnavailableError(f"all servers run {name}, but: {lack}")
    group.there[0].say("the copies of all servers are whole")
    return 0


def in_turn(group: Group, name: str, joining: Sequence[Member], changing: Sequence[Member]) -> int:
    """Have servers change one after the other, each when the copies are whole; undo all for one.

    Raises:
        DeployError: The copies do not become whole, and no other server was touched.
    """
    done: list[Member] = []
    for member in [*joining, *changing]:
        code = change(group, name, member)
        if code:
            return undo(group, code, done)
        done.append(member)
        settle(group, member, [other for other in joining if other not in done])
    return 0


def settle(group: Group, member: Member, without: Sequence[Member] = ()) -> None:
    """Wait until the copies are whole with a server that was changed.

    Raises:
        UnavailableError: They do not become so.
    """
    if lack := group.lacking(member, without, WHOLE_WITHIN):
        raise UnavailableError(
            f"{member.host.name} was changed, and the copies are not whole again within "
            f"{WHOLE_WITHIN} s, so no other server was touched: {lack}"
        )
    member.say("the copies are whole")


def undo(group: Group, code: int, done: Sequence[Member]) -> int:
    """Have the servers that were changed go back, one after the other; return the exit code."""
    for member in reversed(done):
        before = group.looks[member.host.name].current
        if before:
            member.say("goes back, as the release does not run on every server")
            if change(group, before, member):
                raise DeployError(f"{member.host.name} did not go back to {before}: see make audit")
            settle(group, member)
    return code
