"""A release for each of three servers, and its way there."""

from collections.abc import Mapping, Sequence

from deploy.group.group import Group
from deploy.group.members import Member, is_group, membership, on_each
from deploy.host import deploying
from deploy.host.deploying import Prepared
from deploy.release import images
from deploy.release.release import Release


def releases(
    group: Group, prepared: Prepared, built: Mapping[str, str], founder: str
) -> dict[str, Release]:
    """Return the release for each server that is there, by its name; all are called the same."""
    hosts, now = [member.host for member in group.members], deploying.moment()
    return {
        host.name: deploying.release_for(
            host,
            prepared,
            built,
            membership(hosts, host, founder) if is_group(prepared.plan) else None,
            now,
        )
        for host in (member.host for member in group.there)
    }


def send(
    group: Group,
    prepared: Prepared,
    new: Mapping[str, Release],
    built: Mapping[str, str],
    members: Sequence[Member],
) -> None:
    """Bring the release to each member that will run it; nothing uses it yet.

    Raises:
        DeployError: One lacks room, or a connection was lost.
    """
    lacks = {
        member.host.name: images.lacking(built, group.looks[member.host.name].status["images"])
        for member in members
    }
    for member in members:
        free = group.looks[member.host.name].status["free_bytes"]
        images.check_space(lacks[member.host.name], free)
    bill = deploying.bill_for(prepared, new[members[0].host.name], built)

    def deliver(member: Member) -> None:
        name = member.host.name
        deploying.send(member.link, prepared, new[name], lacks[name], bill, member.say)

    on_each(members, deliver)
