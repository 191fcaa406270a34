"""A rollback of three servers that share their stores, one after the other."""

from collections.abc import Iterator, Sequence

from deploy.errors import DeployError, UnavailableError
from deploy.group.group import Group, gone
from deploy.group.looking import look
from deploy.group.members import Member
from deploy.group.turns import in_turn
from deploy.host import deploying
from deploy.outcome import Act


def rollback(  # noqa: PLR0913 - the options of the verb
    members: Sequence[Member], project: str, to: str, without: str, who: str, *, dry: bool
) -> Iterator[Act]:
    """Go back to a release that every server keeps; the exit code is 0 where it runs, else 1.

    Raises:
        DeployError: There is none, or the copies are not whole; nothing was changed.
    """
    away = gone(members, without)
    group = Group(members, away, look(members, project, away), who)
    for member in group.there:
        status = group.looks[member.host.name].status
        deploying.check_there(member.host, status, new=False, dry=dry)
        if status["unfinished"]:
            raise UnavailableError(
                f"{member.host.name} is at {status['unfinished']}: make deploy settles that"
            )
    name = to or previous(group)
    changing = [member for member in group.there if differs(group, member, name)]
    if not changing:
        for member in group.there:
            member.say(f"nothing to do: {name} runs")
        return
    if lack := group.lacking(group.there[0]):
        raise UnavailableError(f"the copies are not whole, so no server may be touched: {lack}")
    if dry:
        for member in group.in_turn(changing):
            current = group.looks[member.host.name].current
            member.say(f"would go back from {current} to {name}; data stays as it is")

    def go_back() -> int:
        with group.locks(f"rollback to {name}"):
            for member in changing:
                member.link.install_agent()
            return in_turn(group, name, [], group.in_turn(changing))

    yield go_back


def previous(group: Group) -> str:
    """Return the release that ran before on every server.

    Raises:
        UnavailableError: There is none.
    """
    names = {group.looks[member.host.name].status["previous"] for member in group.there}
    if len(names) > 1:
        raise UnavailableError("the servers ran different releases before: say to=, see releases")
    name = names.pop()
    if name is None:
        raise UnavailableError("there is no previous release to go back to; see make releases")
    return str(name)


def differs(group: Group, member: Member, name: str) -> bool:
    """Whether a server does not run a release that it keeps.

    Raises:
        DeployError: It does not keep that.
    """
    status = group.looks[member.host.name].status
    kept = [release["name"] for release in status["releases"]]
    if name not in kept:
        listing = ", ".join(kept) or "none"
        raise DeployError(f"{member.host.name} keeps no release {name!r}; kept are: {listing}")
    return bool(name != status["current"] or status["as_released"])
