"""Networks from the graph: a service reaches what it depends on or takes a value from, no more.

Each part that anybody reaches has a network of its own name, without a way out, that it shares
with those that reach it.
"""

from infra.stack.plan import HostPort, Infrastructure, Overlay, Plan, Service

EGRESS = "egress"
PUBLISHED = "published"


class Networks:
    """The networks of every container of one overlay."""

    def __init__(self, plan: Plan, overlay: Overlay) -> None:
        self._overlay = overlay
        providers: dict[str, list[str]] = {}
        for service in plan.services:
            for given in service.provides:
                if given.reference:
                    providers.setdefault(given.name, []).append(service.name)
        there = {found.name for found in plan.infrastructure}
        there |= {found.name for found in plan.services if overlay in found.overlays}
        self._reached = {
            found.name: reached(found, providers) & there
            for found in plan.services
            if overlay in found.overlays
        }
        self._targets = {name for names in self._reached.values() for name in names}

    def of(self, part: Service | Infrastructure) -> tuple[str, ...]:
        """Return the networks of a container: those of what it reaches, its own, the ways out."""
        names = set(self._reached.get(part.name, ()))
        if part.name in self._targets or isinstance(part, Infrastructure):
            names.add(part.name)
        # In the tests nothing leads out: a stand-in is there for everything.
        outside = isinstance(part, Service) and part.egress and self._overlay != "tests"
        if outside:
            names.add(EGRESS)
        if part.published.get(self._overlay) and not outside:
            names.add(PUBLISHED)
        return tuple(sorted(names))


def reached(found: Service, providers: dict[str, list[str]]) -> set[str]:
    """Return the names of everything that a service talks to.

    Args:
        found: the service.
        providers: by variable, the services that stand in with an address for it.
    """
    names = {dependency.name for dependency in found.depends_on}
    names |= {one.reference.target for one in found.env if one.reference}
    names |= {name for one in found.env for name in providers.get(one.name, ())}
    return names - {found.name}


def ports(published: tuple[HostPort, ...]) -> tuple[str, ...]:
    """Return host ports in Compose's short form, such as 127.0.0.1:8000:8000."""
    return tuple(
        f"{_bracketed(port.host_ip)}:{port.published or ''}:{port.target}" for port in published
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
