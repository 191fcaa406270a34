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
        self._away = {part.name for part in plan.away(overlay)}
        there = {part.name for part in plan.infrastructure} - self._away
        there |= {service.name for service in plan.services if overlay in service.overlays}
        there &= set(there if parts is None else parts)
        providers = providers_of(plan)
        self._joined: dict[str, set[str]] = {}
        self._leaving: set[str] = set()
        for service in plan.services:
            if service.egress or reached(service, providers, overlay) & self._away:
                self._leaving.add(service.name)
            if service.name in there:
                for target in reached(service, providers, overlay) & there:
                    name = f"{service.name}-{target}" if service.port else target
                    self._joined.setdefault(service.name, set()).add(name)
                    self._joined.setdefault(target, set()).add(name)

    def of(self, part: Service | Infrastructure) -> tuple[str, ...]:
        """Return the networks of a container: those of what it reaches, its own, the ways out."""
        names = set(self._joined.get(part.name, ()))
        if part.name in self._away:
            return ()
        if isinstance(part, Infrastructure) and not names:
            names.add(part.name)
        # In the tests nothing leads out: a stand-in is there for everything.
        outside = part.name in self._leaving and self._overlay != "tests"
        if outside:
            names.add(EGRESS)
        if part.published.get(self._overlay) and not outside:
            names.add(_way_in(part, self._overlay))
        return tuple(sorted(names))


def _way_in(part: Service | Infrastructure, overlay: Overlay) -> str:
    """Return the network of a part's host ports.

    Who asks others that have host ports too has one of its own: a name stands for one address, and
    Docker gives that of the way in that both share, over which they cannot talk.
    """
    alone = isinstance(part, Service) and part.asks(overlay)
    return f"{PUBLISHED}-{part.name}" if alone else PUBLISHED


def leads_in(network: str) -> bool:
    """Say whether a network is there for host ports."""
    return network.partition("-")[0] == PUBLISHED


def providers_of(plan: Plan) -> dict[str, list[str]]:
    """Return, by variable, the services that stand in with an address for it."""
    providers: dict[str, list[str]] = {}
    for service in plan.services:
        for given in service.provides:
            if given.reference:
                providers.setdefault(given.name, []).append(service.name)
    return providers


def reached(service: Service, providers: dict[str, list[str]], overlay: Overlay) -> set[str]:
    """Return the names of everything that a service talks to.

    Args:
        service: who talks.
        providers: what `providers_of` returns.
        overlay: where.
    """
    names = {dependency.name for dependency in service.depends_on}
    names |= set(service.asks(overlay))
    references = (variable.reference for variable in service.env if variable.reference)
    names |= {each.target for each in references if each.attribute != "public"}
    names |= {name for variable in service.env for name in providers.get(variable.given_as, ())}
    return names - {service.name}


def ports(published: tuple[HostPort, ...]) -> list[str]:
    """Return host ports in Compose's short form, such as 127.0.0.1:8000:8000."""
    return [
        f"{_bracketed(port.host_ip)}:{port.published or ''}:{port.target}" for port in published
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
