"""An environment's data goes from one server to three, or back to one of them.

What writes is stopped while the data moves, so that a backup holds all of it; what people write
waits at Telegram. To three, Redis goes on with its volume on the server that has the data, and the
two others copy it; back, it gets what was saved. PostgreSQL gets a dump, as its files under Patroni
are others. Nothing else runs before all of it is in place.

Until then a step that fails is undone: what ran before runs again. Each server has written down
what it has stopped: where the deployer dies, the same command undoes that first, or goes on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from deploy.errors import DeployError, RemoteError, UnavailableError, UsageError
from deploy.group.group import WHOLE_WITHIN, Group
from deploy.group.looking import look
from deploy.group.members import Member, is_group, membership, on_each
from deploy.group.restoring import brought
from deploy.group.sending import releases, send
from deploy.group.turns import bring_up, change
from deploy.host import deploying
from deploy.host.deploying import Prepared
from deploy.host.running import followed
from deploy.outcome import Act


def move(members: Sequence[Member], prepared: Prepared, name: str, *, dry: bool) -> Iterator[Act]:
    """Move the data, and release where it is then; the exit code is 0 where the release runs.

    Args:
        members: All three servers, in the inventory's order.
        prepared: What they have in common; whether stores have copies there says which way.
        name: The one of them that has the data alone, before or afterwards.
        dry: Say what would be done.

    Raises:
        DeployError: Nothing was changed, or it is undone, and why.
    """
    keeper = next((member for member in members if member.host.name == name), None)
    if keeper is None:
        known = ", ".join(member.host.name for member in members)
        raise UsageError(f"no server is called {name!r}; there are: {known}")
    hosts, three = [member.host for member in members], is_group(prepared.plan)
    for host in hosts:
        deploying.check_here(host, prepared, "", membership(hosts, host) if three else None)
    group = seen(members, prepared, dry=dry)
    if under_way(group):
        if dry:
            keeper.say("would first undo or finish a move that has died")
            return
        yield partial(resume, group)
        if has_moved(group):
            return
        group = seen(members, prepared, dry=dry)
    if three:
        check_alone(group, keeper)
    else:
        check_copies(group, keeper)
    if dry:
        tell_plan(group, keeper, three=three)
    built = prepared.images.built()
    new = releases(group, prepared, built, keeper.address)
    release = new[keeper.host.name].name

    def send_and_move() -> int:
        with group.locks(f"move of the data of {keeper.host.name}"):
            send(group, prepared, new, built, members if three else [keeper])
            on_each(members, lambda member: member.link.install_agent())
            with undone(group):
                (to_three if three else to_one)(group, keeper, release)
            settle(group, keeper)
            return start(group, keeper, release, three=three)

    yield send_and_move


def seen(members: Sequence[Member], prepared: Prepared, *, dry: bool) -> Group:
    """Return the servers as they are seen, where nobody has locked one of them.

    Raises:
        DeployError: One cannot be reached, is locked or has no room.
    """
    group = Group(members, [], look(members, prepared.plan.project, []), prepared.who)
    for member in members:
        deploying.check_free(group.looks[member.host.name].status, dry=dry)
    return group


def check_alone(group: Group, keeper: Member) -> None:
    """Make sure that one server, and it alone, has something that can go to three.

    Raises:
        DeployError: There is nothing to move, or it is another one's.
    """
    running = group.running()
    names = ", ".join(member.host.name for member in running)
    if any("leads" in group.looks[member.host.name].status for member in running):
        raise UsageError(f"{names} run a release for three already: deploy without moving=")
    if not running:
        raise UsageError("no server runs anything, so nothing moves: deploy without moving=")
    if running != [keeper]:
        raise UsageError(f"moving= is for the one server that runs a release; those are: {names}")
    check_finished(group)


def check_copies(group: Group, keeper: Member) -> None:
    """Make sure that three servers have whole copies, of which one can go on alone.

    Raises:
        DeployError: There are none, or they are not whole.
    """
    without = [
        member.host.name
        for member in group.members
        if "leads" not in group.looks[member.host.name].status
    ]
    if len(without) == len(group.members):
        raise UsageError(
            "no server has copies of the stores, so nothing moves: deploy without moving=, or "
            "write the copies into services.yml"
        )
    if without:
        raise UnavailableError(f"{', '.join(without)} has no copies of the stores: see make status")
    check_finished(group)
    if lack := group.lacking(keeper):
        raise UnavailableError(f"the copies are not whole, so nothing moves: {lack}")


def check_finished(group: Group) -> None:
    """Make sure that no cut-over and no restore is unfinished.

    Raises:
        UnavailableError: One is.
    """
    for member in group.members:
        status = group.looks[member.host.name].status
        if status["unfinished"] or status["restoring"]:
            raise UnavailableError(
                f"{member.host.name} is at something unfinished: deploy what runs, then move it"
            )


def tell_plan(group: Group, keeper: Member, *, three: bool) -> None:
    """Say what would be done."""
    keeper.say("would stop what writes, and back up")
    if three:
        keeper.say("would go on with its Redis and a dump of its PostgreSQL")
    else:
        keeper.say("would go on alone, with what was backed up")
    for member in group.members:
        if member is not keeper:
            member.say(
                "would get a copy of both" if three else "would stop, and give up its copies"
            )


def to_three(group: Group, keeper: Member, release: str) -> None:
    """Have one server's data be on three, and nothing but stores run.

    Raises:
        DeployError: A step failed.
    """
    others = [member for member in group.members if member is not keeper]
    on_each(others, lambda member: step(group, member, "part", release, keeper))
    keeper.say("stops what writes")
    for name in ("part", "save", "rest"):
        step(group, keeper, name, release, keeper)
    # At once: no store is healthy without a second one, nor etcd's version right without the third.
    on_each(group.members, lambda member: step(group, member, "raise", release, keeper))
    check_whole(group, keeper)
    step(group, keeper, "fill", release, keeper, saved_by(keeper))
    check_whole(group, keeper)


def to_one(group: Group, keeper: Member, release: str) -> None:
    """Have the data of three be on one server, and nothing but its stores run.

    Raises:
        DeployError: A step failed.
    """
    saves = [m for m in group.members if group.looks[m.host.name].status.get("saves")]
    leading = saves[0] if saves else keeper

    def each(name: str) -> None:
        on_each(
            group.members,
            lambda member: step(group, member, name, release if member is keeper else "", keeper),
        )

    keeper.say("all three stop what writes")
    each("part")
    step(group, leading, "save", "", keeper)
    backup = brought(keeper, leading, saved_by(leading))
    each("rest")
    step(group, keeper, "raise", release, keeper)
    step(group, keeper, "fill", release, keeper, backup)


def check_whole(group: Group, keeper: Member) -> None:
    """Wait until the copies are whole.

    Raises:
        UnavailableError: They do not become so.
    """
    if lack := group.lacking(keeper, seconds=WHOLE_WITHIN):
        raise UnavailableError(f"the copies do not become whole: {lack}")
    keeper.say("the copies are whole")


def saved_by(member: Member) -> str:
    """Return the backup that a server has made for the move."""
    return str(member.link.status("")["moving"]["backup"])


@contextmanager
def undone(group: Group) -> Iterator[None]:
    """Have what ran before run again where something fails inside the block.

    Raises:
        DeployError: What failed; or that not all is undone, which the next deploy does.
    """
    try:
        yield
    except DeployError as error:
        group.members[0].say(f"{error}; what ran before starts again")
        try:
            undo(group, group.members)
        except DeployError as other:
            raise UnavailableError(
                f"{error}; not all is undone, the same command goes on with it: {other}"
            ) from None
        raise


def undo(group: Group, members: Sequence[Member]) -> None:
    """Have what ran before run again, on all at once: copies are not healthy one by one."""
    on_each(members, lambda member: step(group, member, "undo", "", member))


def settle(group: Group, keeper: Member) -> None:
    """Make the new release current: first where the data is, which decides it."""
    others = [member for member in group.members if member is not keeper]
    step(group, keeper, "settle", "", keeper)
    on_each(others, lambda member: step(group, member, "settle", "", keeper))


def start(group: Group, keeper: Member, release: str, *, three: bool) -> int:
    """Start the services of a release whose stores run; return how that ended."""
    return bring_up(group, release) if three else change(group, release, keeper)


def step(  # noqa: PLR0913, PLR0917 - what a server is told
    group: Group, member: Member, name: str, release: str, keeper: Member, backup: str = ""
) -> None:
    """Have a server do a step of the move, and say what it says.

    Raises:
        DeployError: It failed, or the server does not come back.
    """
    lines: list[str] = []
    given = ("--step", name, "--keeper", keeper.host.name, "--backup", backup)
    keeps = ("--keeps",) if member is keeper else ()
    words = ("--who", group.who, "begin-move", release, *given, *keeps)
    if code := followed(member.link, words, lines.append):
        raise RemoteError(lines[-1] if lines else "no answer", code)
    for line in lines:
        member.say(line)


def under_way(group: Group) -> dict[str, dict[str, Any]]:
    """Return what servers have noted of a move that is not over, by their names."""
    noted = {name: seen.status["moving"] for name, seen in group.looks.items()}
    return {name: facts for name, facts in noted.items() if facts}


def has_moved(group: Group) -> bool:
    """Whether a move that is not over is past what can be undone: the keeper knows.

    One that has noted nothing has done the last of it, or the first was not reached.

    Raises:
        UnavailableError: The keeper is another server now: the data may be anywhere.
    """
    noted = under_way(group)
    keeper = next(iter(noted.values()))["keeper"]
    if keeper in noted:
        return bool(noted[keeper]["settled"])
    status = group.looks[keeper].status
    if not status["current"]:
        raise UnavailableError(
            f"{keeper} was to have the data, and has nothing: docs/SCALE.md says what to do by hand"
        )
    three = any(facts["release"] for facts in noted.values())
    return ("leads" in status) == three


def resume(group: Group) -> int:
    """Undo a move whose deployer has died, or do it to its end."""
    noted = under_way(group)
    named = next(iter(noted.values()))["keeper"]
    keeper = next(member for member in group.members if member.host.name == named)
    members = [member for member in group.members if member.host.name in noted]
    with group.locks("a move that has died"):
        on_each(members, lambda member: member.link.install_agent())
        if not has_moved(group):
            keeper.say("undoes a move that has died")
            undo(group, members)
            return 0
        on_each(members, lambda member: step(group, member, "settle", "", keeper))
        three = any(facts["release"] for name, facts in noted.items() if name != named)
        release = str(noted.get(named, {}).get("release") or group.looks[named].current)
        return start(group, keeper, release, three=three)
