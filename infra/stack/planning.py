"""Turn a declaration without mistakes into the finished plan."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, cast

from infra.places.reading import Reading
from infra.stack import plan
from infra.stack.declared import declaration
from infra.stack.declared.declaration import Stack
from infra.stack.declared.defaults import (
    INFRASTRUCTURE,
    PYTHON_USER,
    SERVICE_GRACE,
    SERVICE_RESOURCES,
    default_health,
    port_of,
    variables_of,
)
from infra.stack.declared.events import Channel


def make_plan(stack: Stack, reading: Reading, events: Iterable[Channel]) -> plan.Plan:
    """Return the plan of a declaration that passed every check."""
    parts: dict[str, declaration.Service | declaration.Infrastructure] = {
        **stack.infrastructure,
        **{found.name: found for found in stack.services},
    }
    order = start_order(
        {name: tuple(getattr(part, "depends_on", ())) for name, part in parts.items()}
    )
    places = {name: place for place, name in enumerate(order)}
    return plan.Plan(
        project=stack.project,
        infrastructure=tuple(
            _infrastructure(name, part, reading) for name, part in stack.infrastructure.items()
        ),
        services=tuple(
            _service(part, parts, places, reading)
            for part in map(parts.__getitem__, order)
            if isinstance(part, declaration.Service)
        ),
        events=_events(events, stack),
    )


def start_order(graph: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the names so that what is waited for comes first; file order decides ties."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        trail = [name]
        while trail:
            missing = [need for need in graph[trail[-1]] if need in graph and need not in placed]
            if missing:
                trail.append(missing[0])
            else:
                placed[trail.pop()] = None

    for name in graph:
        if name not in placed:
            place(name)
    return list(placed)


def _service(
    found: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    places: dict[str, int],
    reading: Reading,
) -> plan.Service:
    healthy = _health(found)
    return plan.Service(
        name=found.name,
        type=found.type,
        description=found.description,
        overlays=tuple(name for name in plan.OVERLAYS if name in found.overlays),
        profiles=found.profiles,
        image=found.image,
        command=found.command or (() if found.image else ("python", "-m", found.name)),
        depends_on=tuple(
            plan.Dependency(name, cast("plan.Condition", found.depends_on[name]))
            for name in sorted(found.depends_on, key=places.__getitem__)
        ),
        port=port_of(found),
        health=healthy,
        env=tuple(
            _variable(name, variable, found, parts, reading)
            for name, variable in variables_of(found).items()
        ),
        provides=tuple(
            plan.Provided(name, given.value, _reference(given.source, found, parts))
            for name, given in found.provides.items()
        ),
        publishes=found.publishes,
        subscribes=found.subscribes,
        published=_published(found.publish, port_of(found)),
        egress=found.egress,
        data=found.data,
        writable=found.writable,
        user=found.user or ("" if found.image else PYTHON_USER),
        replicas=found.replicas,
        resources=_resources(found.resources, SERVICE_RESOURCES),
        stop_grace_period=found.stop_grace_period or SERVICE_GRACE,
        capabilities=tuple(plan.OptOut(name, why) for name, why in found.capabilities.items()),
        opt_outs=tuple(plan.OptOut(name, why) for name, why in found.opt_out.items()),
        line=reading.value(*found.at).line,
    )


def _infrastructure(
    name: str, found: declaration.Infrastructure, reading: Reading
) -> plan.Infrastructure:
    kind = INFRASTRUCTURE[found.type]
    return plan.Infrastructure(
        name=name,
        type=cast("Any", found.type),
        port=kind.port,
        scheme=kind.scheme,
        persistence=found.persistence or ("always" if found.type == "redis" else ""),
        health=kind.health,
        variables=tuple(
            plan.Variable(f"{name.upper()}_{suffix}", "secret", why) for suffix, why in kind.secrets
        ),
        published=_published(found.publish, kind.port),
        resources=_resources(found.resources, kind.resources),
        stop_grace_period=found.stop_grace_period or kind.grace,
        line=reading.key(*found.at).line,
    )


def _health(found: declaration.Service) -> plan.Health | None:
    given = found.health
    if given is None:
        return default_health(found)
    return plan.Health(
        path=given.http,
        port=(given.port or port_of(found)) if given.http else 0,
        command=given.command,
        interval=given.interval,
        timeout=given.timeout,
        retries=given.retries,
        start_period=given.start_period,
    )


def _variable(
    name: str,
    given: declaration.Variable,
    owner: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    reading: Reading,
) -> plan.Variable:
    kind: plan.Kind = "required"
    if given.source:
        kind = "from"
    elif given.secret:
        kind = "secret"
    elif given.value is not None:
        kind = "value"
    elif given.default is not None:
        kind = "default"
    return plan.Variable(
        name=name,
        kind=kind,
        description=given.description,
        value=given.value if given.value is not None else given.default,
        reference=_reference(given.source, owner, parts, given.scheme, given.path),
        line=reading.key(*given.at).line if given.at else 0,
    )


def _reference(
    source: str | None,
    owner: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    scheme: str = "",
    path: str = "",
) -> plan.Reference | None:
    if not source:
        return None
    name, _, attribute = source.partition(".")
    target = owner if name == "self" else parts[name]
    if isinstance(target, declaration.Infrastructure):
        usual = INFRASTRUCTURE[target.type].scheme
    else:
        usual, name = "http", target.name
    attribute = attribute or "url"
    return plan.Reference(
        target=name,
        attribute=cast("plan.Attribute", attribute),
        scheme=(scheme or usual) if attribute == "url" else "",
        path=f"/{path.lstrip('/')}" if path else "",
    )


def _published(
    found: declaration.Publish | None, own_port: int
) -> dict[plan.Overlay, tuple[plan.HostPort, ...]]:
    return {
        overlay: tuple(
            plan.HostPort(port.published, port.target or own_port, port.host_ip, port.reason)
            for port in getattr(found, overlay)
        )
        for overlay in plan.OVERLAYS
        if found and getattr(found, overlay)
    }


def _resources(found: declaration.Resources | None, usual: plan.Resources) -> plan.Resources:
    given = {item.name: getattr(found, item.name, None) for item in fields(plan.Resources)}
    return plan.Resources(**{name: value or getattr(usual, name) for name, value in given.items()})


def _events(channels: Iterable[Channel], stack: Stack) -> tuple[plan.Event, ...]:
    said: dict[str, list[str]] = {}
    heard: dict[str, list[str]] = {}
    for found in stack.services:
        for event in found.publishes:
            said.setdefault(event, []).append(found.name)
        for event in found.subscribes:
            heard.setdefault(event, []).append(found.name)
    return tuple(
        plan.Event(
            name=channel.address,
            description=channel.description,
            publishers=tuple(said.get(channel.address, ())),
            subscribers=tuple(heard.get(channel.address, ())),
        )
        for channel in channels
    )
