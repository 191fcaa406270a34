"""What a release says to one of three servers: who it is, who the others are, what has copies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.stack import Plan
from infra.stack.compose.copies import companion_of
from infra.stack.compose.secrets import MOUNT, copies_password
from infra.stack.plan import Infrastructure

VARIABLES = {"MEMBER", "MEMBER_1", "MEMBER_2", "MEMBER_3", "FOUNDER"}
"""What infra/compose.prod.yml leaves open for each of the servers, and no settings may say."""


@dataclass(frozen=True)
class Membership:
    """One of the servers that have the copies.

    Attributes:
        own: Its private address.
        members: Those of all, in one order everywhere.
        founder: Whose copies begin, while none of them has anything; else empty.
    """

    own: str
    members: tuple[str, ...]
    founder: str = ""

    def variables(self) -> dict[str, str]:
        """Return what the Compose file asks for."""
        numbered = {f"MEMBER_{place}": each for place, each in enumerate(self.members, 1)}
        return {"MEMBER": self.own, "FOUNDER": self.founder, **numbered}


def copied(plan: Plan) -> list[Infrastructure]:
    """Return the stores that have a copy on each of several servers."""
    return [part for part in plan.stores("prod") if part.copies > 1]


def beside(plan: Plan) -> dict[str, str]:
    """Return the stores with copies by the name of what stands beside each copy."""
    return {companion_of(part): part.name for part in copied(plan)}


def facts(plan: Plan, membership: Membership | None) -> dict[str, Any]:
    """Return what release.json says of the copies: nothing where a server is alone."""
    if membership is None:
        return {}
    stores = {
        part.type: {"service": part.name, "beside": companion_of(part)}
        | (_passwords(part) if part.type == "postgres" else {})
        for part in copied(plan)
    }
    return {"copies": {"member": membership.own, "members": list(membership.members), **stores}}


def _passwords(part: Infrastructure) -> dict[str, str]:
    """Return the secret that has Patroni change who leads, and the file with the owner's."""
    return {"password": copies_password(part), "login": f"{MOUNT}/{part.variables[0].name}"}


def images(plan: Plan, built: Mapping[str, str]) -> dict[str, str]:
    """Return the image of each service; what stands beside a copy runs from the copy's own."""
    return {**built, **{name: built[store] for name, store in beside(plan).items()}}
