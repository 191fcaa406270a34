"""The servers of one group: the hosts of an environment whose stack has copies of its stores."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pyinfra.context import ctx_state

from deploy import inventory
from deploy.errors import ConfigError, DeployError, MembersError, UsageError
from deploy.inventory import Host
from deploy.outcome import here, link_of, say_on
from deploy.release.membership import Membership, copied
from deploy.ssh.link import Link, Say
from infra.stack import Plan
from infra.stack.plan import COPIES

Result = TypeVar("Result")


@dataclass(frozen=True)
class Member:
    """One server of a group, with the connection to it and who is told of it."""

    host: Host
    link: Link
    say: Say

    @property
    def address(self) -> str:
        """Return its private address."""
        return self.host.private_address


def is_group(plan: Plan) -> bool:
    """Whether the servers of an environment share stores of which each has a copy."""
    return bool(copied(plan))


def check(plan: Plan, hosts: Sequence[Host]) -> None:
    """Make sure that the hosts of an environment can have the copies of a stack.

    Raises:
        ConfigError: They cannot, and what is to be written into the inventory.
    """
    stores = " and ".join(part.name for part in copied(plan))
    have = f"{stores} {'has' if len(copied(plan)) == 1 else 'have'} copies: {COPIES}"
    if not stores:
        have = "the data moves from three servers to one"
    environment = hosts[0].environment if hosts else ""
    where = f"deploy/inventories/{environment}.py"
    if len(hosts) != COPIES:
        count = f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}"
        raise ConfigError(
            f"{have}, and {where} has {count}: write {COPIES} hosts, or leave copies out"
        )
    for host in hosts:
        if not host.private_address:
            raise ConfigError(
                f"{have}, and {host.name} has no private_address in {where}: write the address "
                "at which the two others reach it"
            )
    for host in hosts:
        same = [other.name for other in hosts if other.private_address == host.private_address]
        if len(same) > 1:
            raise ConfigError(
                f"{' and '.join(same)} have the same private_address, {host.private_address}, "
                f"in {where}: each has its own"
            )


def check_all_chosen(hosts: Sequence[Host], chosen: Collection[str]) -> None:
    """Make sure that a verb that changes what servers share is for all of them.

    Raises:
        UsageError: Only some are chosen.
    """
    if {host.name for host in hosts} - set(chosen):
        raise UsageError(
            f"{', '.join(host.name for host in hosts)} share their stores, and are changed one "
            f"after the other: say env={hosts[0].environment}, not host=…"
        )


def members_of(plan: Plan) -> list[Member]:
    """Return the servers of the group that the host of this operation belongs to.

    One of them does the work for all: for the others there are none.

    Raises:
        DeployError: They cannot be one, or only some of them are chosen.
    """
    host, state = here(), ctx_state.get()  # type: ignore[no-untyped-call] # pyinfra's
    working = state.active_hosts
    if host != next((each for each in state.inventory if each in working), None):
        return []
    environment = inventory.of(host).environment
    known = environment in inventory.environments()
    hosts = inventory.load(environment) if known else [inventory.of(h) for h in state.inventory]
    check(plan, hosts)
    chosen = {h.name for h in state.inventory if h in state.active_hosts | state.failed_hosts}
    check_all_chosen(hosts, chosen)
    there = [(known, state.inventory.get_host(known.name)) for known in hosts]
    return [Member(known, link_of(each), say_on(each)) for known, each in there]


def check_replaced(plan: Plan, hosts: Sequence[Host], name: str) -> None:
    """Make sure that a new server can join others, and that it is said which is new.

    Raises:
        UsageError: It cannot, or is not.
    """
    if not is_group(plan):
        raise UsageError(
            "replace is for three servers that share their stores; one alone is new with "
            "make provision, and make deploy from=FOLDER"
        )
    if not name:
        names = ", ".join(host.name for host in hosts)
        raise UsageError(f"say which server is new: host=NAME; there are: {names}")


def check_alone(without: str) -> None:
    """Make sure that nothing is said that only servers with copies understand.

    Raises:
        UsageError: It is.
    """
    if without:
        raise UsageError("without= is for three servers that share their stores: docs/SCALE.md")


def check_moving(data: str, without: str) -> None:
    """Make sure that a move is asked for alone.

    Raises:
        UsageError: It is not.
    """
    if data or without:
        raise UsageError(
            "moving= wants all three servers and brings its data: no from=, no without="
        )


def membership(hosts: Sequence[Host], host: Host, founder: str = "") -> Membership:
    """Return which of the servers a host is."""
    return Membership(host.private_address, tuple(each.private_address for each in hosts), founder)


def on_each(members: Sequence[Member], work: Callable[[Member], Result]) -> list[Result]:
    """Do something on members side by side; return what it returned, in their order.

    Raises:
        MembersError: It failed on some; it has ended on all.
    """
    with ThreadPoolExecutor(max_workers=max(len(members), 1)) as pool:
        futures = [pool.submit(work, member) for member in members]
    errors = []
    for member, future in zip(members, futures, strict=True):
        error = future.exception()
        if isinstance(error, DeployError):
            errors.append((member.host.name, error))
        elif error is not None:
            raise error
    if errors:
        raise MembersError(errors)
    return [future.result() for future in futures]
