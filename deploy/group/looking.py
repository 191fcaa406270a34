"""One look at each server of a group, and what is refused because of it before anything changes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.errors import ConfigError, ConnectionLostError, MembersError, UnavailableError
from deploy.group.members import Member, on_each
from deploy.ssh import commands

CLOCKS_WITHIN = 5.0


@dataclass(frozen=True)
class Look:
    """What was seen of one server.

    Attributes:
        status: What runs there.
        clock: How far its clock is ahead of this machine's, in seconds.
        seen: What it says of its Docker, of its private address and of its way to the others.
    """

    status: Mapping[str, Any]
    clock: float
    seen: Mapping[str, Any]

    @property
    def current(self) -> str:
        """Return the release that runs; empty where none does."""
        return self.status["current"] or ""


def look(members: Sequence[Member], project: str, away: Sequence[Member]) -> dict[str, Look]:
    """Look at each server that is there; return what was seen, by its name.

    Raises:
        DeployError: One cannot be reached, or they cannot be a group.
    """
    addresses = [member.address for member in members]

    def see(member: Member) -> Look | None:
        if member in away:
            return None
        others = [address for address in addresses if address != member.address]
        others = [each for each in others if each not in {gone.address for gone in away}]
        words = ("look", "--own", member.address, "--others", ",".join(others))
        seen = json.loads(member.link.agent(*words, first=commands.preflight(member.host)))
        clock = seen["time"] - time.time()
        return Look(member.link.status(project), clock, seen)

    try:
        looks = on_each(members, see)
    except MembersError as error:
        raise reworded(error) from None
    there = {member.host.name: seen for member, seen in zip(members, looks, strict=True) if seen}
    present = [member for member in members if member not in away]
    # Only now: to the others, too, a server without power is one that does not answer.
    on_each(present, lambda member: check_addresses(members, member, there[member.host.name].seen))
    check_alike(there)
    return there


def reworded(error: MembersError) -> MembersError:
    """Return an error that says how to go on without a server, where just one cannot be reached."""
    lost = [name for name, why in error.errors if isinstance(why, ConnectionLostError)]
    if len(lost) != 1 or len(error.errors) > 1:
        return error
    text = (
        f"{error.errors[0][1]}; mend it, or put a new one in its place, make replace "
        f"host={lost[0]}, or go on with the two others, make deploy without={lost[0]}"
    )
    return MembersError([(lost[0], UnavailableError(text))])


def check_addresses(members: Sequence[Member], member: Member, seen: Mapping[str, Any]) -> None:
    """Make sure that a server has its private address, and reaches the others at theirs.

    Raises:
        DeployError: It has not, or does not.
    """
    if not seen["owns"]:
        raise ConfigError(
            f"private_address {member.address} is no address of this server: see ip address there"
        )
    names = {each.address: each.host.name for each in members}
    for address in seen["unreachable"]:
        raise UnavailableError(
            f"{names[address]} is not reached at {address} from {member.address}: look at the "
            "private network, and run make provision on both"
        )


def check_alike(looks: Mapping[str, Look]) -> None:
    """Make sure that servers have the same time, and the same Docker.

    Raises:
        UnavailableError: They have not.
    """
    first, *_, last = sorted(looks, key=lambda name: looks[name].clock)
    apart = looks[last].clock - looks[first].clock
    if apart > CLOCKS_WITHIN:
        raise UnavailableError(
            f"the clock of {last} is {apart:.0f} s ahead of that of {first}: set it, and see that "
            "time sync runs (make provision)"
        )
    versions = {name: str(each.seen["docker"]) for name, each in looks.items()}
    if len({version.partition(".")[0] for version in versions.values()}) > 1:
        listing = ", ".join(f"{name} {version}" for name, version in versions.items())
        raise UnavailableError(f"Docker differs: {listing}; bring all to the same major version")
