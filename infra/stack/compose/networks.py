"""Networks from the graph: a service reaches what it depends on or takes a value from, no more.

Each part that anybody reaches has a network of its own name, without a way out, that it shares
with those that reach it and serve nothing themselves. Who serves a port gets a network alone with
each part that it reaches, so that the others, who reach the same part, do not reach that port.
"""

from collections.abc import Iterable

from infra.stack.plan import EGRESS, PUBLISHED, HostPort, Infrastructure, Overlay, Plan, Service


class Networks:
    """The networks of every container of one overlay, or of some of its parts."""

    def __init__(self, plan: Plan, overlay: Overlay, parts: Iterable[str] | None = None) -> None:
        self._overlay = overlay
        there = {found.name for found in plan.infrastructure}
        there |= {found.name for found in plan.services if overlay in found.overlays}
        there &= set(there if parts is None else parts)
        providers = providers_of(plan)
        self._joined: dict[str, set[str]] = {}
        for found in plan.services:
            if found.name in there:
                for target in reached(found, providers) & there:
                    name = f"{found.name}-{target}" if found.port else target
                    self._joined.setdefault(found.name, set()).add(name)
                    self._joined.setdefault(target, set()).add(name)

    def of(self, part: Service | Infrastructure) -> tuple[str, ...]:
        """Return the networks of a container: those of what it reaches, its own, the ways out."""
        names = set(self._joined.get(part.name, ()))
        if isinstance(part, Infrastructure) and not names:
            names.add(part.name)
        # In the tests nothing leads out: a stand-in is there for everything.
        outside = isinstance(part, Service) and part.egress and self._overlay != "tests"
        if outside:
            names.add(EGRESS)
        if part.published.get(self._overlay) and not outside:
            names.add(PUBLISHED)
        return tuple(sorted(names))


def providers_of(plan: Plan) -> dict[str, list[str]]:
    """Return, by variable, the services that stand in with an address for it."""
    providers: dict[str, list[str]] = {}
    for service in plan.services:
        for given in service.provides:
            if given.reference:
                providers.setdefault(given.name, []).append(service.name)
    return providers


def reached(found: Service, providers: dict[str, list[str]]) -> set[str]:
    """Return the names of everything that a service talks to.

    Args:
        found: the service.
        providers: what `providers_of` returns.
    """
    names = {dependency.name for dependency in found.depends_on}
    names |= {one.reference.target for one in found.env if one.reference}
    names |= {name for one in found.env for name in providers.get(one.name, ())}
    return names - {found.name}


def ports(published: tuple[HostPort, ...]) -> list[str]:
    """Return host ports in Compose's short form, such as 127.0.0.1:8000:8000."""
    return [
        f"{_bracketed(port.host_ip)}:{port.published or ''}:{port.target}" for port in published
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
