"""Turn a declaration without mistakes into the finished plan."""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, cast

from infra.places.reading import Reading
from infra.stack import plan
from infra.stack.declared import declaration
from infra.stack.declared.declaration import Stack
from infra.stack.declared.defaults import (
    CADDY_PORTS,
    INFRASTRUCTURE,
    SERVICE_GRACE,
    SERVICE_RESOURCES,
    command_of,
    data_of,
    default_health,
    has_metrics,
    port_of,
    user_of,
    variables_of,
)
from infra.stack.declared.events import Channel
from infra.stack.plan import WATCHING
from infra.stack.resolving import reference_of, variable_of


def make_plan(stack: Stack, reading: Reading, events: Iterable[Channel]) -> plan.Plan:
    """Return the plan of a declaration that passed every check."""
    parts: dict[str, declaration.Service | declaration.Infrastructure] = {
        **stack.infrastructure,
        **{service.name: service for service in stack.services},
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
    service: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    places: dict[str, int],
    reading: Reading,
) -> plan.Service:
    healthy = _health(service)
    return plan.Service(
        name=service.name,
        type=service.type,
        description=service.description,
        overlays=tuple(name for name in plan.OVERLAYS if name in service.overlays),
        profiles=service.profiles,
        image=service.image,
        command=command_of(service),
        depends_on=tuple(
            plan.Dependency(name, cast("plan.Condition", service.depends_on[name]))
            for name in sorted(service.depends_on, key=places.__getitem__)
        ),
        port=port_of(service),
        health=healthy,
        env=tuple(
            variable_of(name, variable, service, parts, reading)
            for name, variable in _variables(service, parts).items()
        ),
        provides=tuple(
            plan.Provided(name, given.value, reference_of(given.source, service, parts))
            for name, given in service.provides.items()
        ),
        publishes=service.publishes,
        subscribes=service.subscribes,
        console=tuple(name for name in plan.OVERLAYS if name in service.console),
        published=_published(service.publish, port_of(service))
        or (CADDY_PORTS if service.type == "caddy" else {}),
        egress=service.egress or (service.type == "caddy" and service.certificate != "given"),
        data=data_of(service),
        writable=service.writable,
        user=user_of(service),
        replicas=service.replicas,
        resources=_resources(service.resources, SERVICE_RESOURCES),
        stop_grace_period=service.stop_grace_period or SERVICE_GRACE,
        capabilities=tuple(plan.OptOut(name, why) for name, why in service.capabilities.items()),
        opt_outs=tuple(plan.OptOut(name, why) for name, why in service.opt_out.items()),
        watches=_watches(service, parts.values()),
        shows=_shows(service, parts.values()),
        updates=service.updates or "polling",
        host=service.host,
        certificate=(service.certificate or "acme") if service.type == "caddy" else "",
        fronts=_fronts(service, parts.values()),
        line=reading.value(*service.at).line,
    )


def _watches(
    service: declaration.Service,
    parts: Iterable[declaration.Service | declaration.Infrastructure],
) -> tuple[str, ...]:
    """Return what a Prometheus talks to; a stand-in is not ours and has no metrics."""
    if service.type != "prometheus":
        return ()
    services = (part for part in parts if isinstance(part, declaration.Service))
    return tuple(part.name for part in services if part.type == "alertmanager" or has_metrics(part))


def _fronts(
    service: declaration.Service,
    parts: Iterable[declaration.Service | declaration.Infrastructure],
) -> tuple[str, ...]:
    """Return the bots that a Caddy passes requests on to."""
    if service.type != "caddy":
        return ()
    services = (part for part in parts if isinstance(part, declaration.Service))
    return tuple(part.name for part in services if part.updates == "webhook")


def _variables(
    service: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
) -> dict[str, declaration.Variable]:
    """Return a service's variables; where updates are brought to a bot, where to."""
    variables = variables_of(service)
    caddy = next((name for name, part in parts.items() if part.type == "caddy"), "")
    if service.updates != "webhook" or not caddy:
        return variables
    if "WEBHOOK_URL" not in service.env:
        variables["WEBHOOK_URL"] = replace(
            variables["WEBHOOK_URL"], source=f"{caddy}.public", path=f"telegram/{service.name}"
        )
    stores = (part for part in parts.values() if isinstance(part, declaration.Infrastructure))
    if any(store.copies > 1 for store in stores) and "WEBHOOK_IP_ADDRESS" not in service.env:
        address = variables["WEBHOOK_IP_ADDRESS"]
        variables["WEBHOOK_IP_ADDRESS"] = replace(address, default=None)
    return variables


def _shows(
    service: declaration.Service,
    parts: Iterable[declaration.Service | declaration.Infrastructure],
) -> tuple[str, ...]:
    """Return whose health a console asks for: whoever answers over HTTP."""
    if not service.console:
        return ()
    services = (part for part in parts if isinstance(part, declaration.Service))
    return tuple(
        part.name
        for part in services
        if part is not service and (part.type in WATCHING or ((h := _health(part)) and h.path))
    )


def _infrastructure(
    name: str, part: declaration.Infrastructure, reading: Reading
) -> plan.Infrastructure:
    kind = INFRASTRUCTURE[part.type]
    return plan.Infrastructure(
        name=name,
        type=cast("Any", part.type),
        port=kind.port,
        scheme=kind.scheme,
        persistence=part.persistence or ("always" if part.type == "redis" else ""),
        health=kind.health,
        variables=tuple(
            plan.Variable(f"{name.upper()}_{suffix}", "secret", why) for suffix, why in kind.secrets
        ),
        published=_published(part.publish, kind.port),
        resources=_resources(part.resources, kind.resources),
        stop_grace_period=part.stop_grace_period or kind.grace,
        external=part.external,
        copies=part.copies,
        line=reading.key(*part.at).line,
    )


def _health(service: declaration.Service) -> plan.Health | None:
    given = service.health
    if given is None:
        return default_health(service)
    return plan.Health(
        path=given.http,
        port=(given.port or port_of(service)) if given.http else 0,
        command=given.command,
        interval=given.interval,
        timeout=given.timeout,
        retries=given.retries,
        start_period=given.start_period,
    )


def _published(
    publish: declaration.Publish | None, own_port: int
) -> dict[plan.Overlay, tuple[plan.HostPort, ...]]:
    return {
        overlay: tuple(
            plan.HostPort(port.published, port.target or own_port, port.host_ip, port.reason)
            for port in getattr(publish, overlay)
        )
        for overlay in plan.OVERLAYS
        if publish and getattr(publish, overlay)
    }


def _resources(resources: declaration.Resources | None, usual: plan.Resources) -> plan.Resources:
    given = {item.name: getattr(resources, item.name, None) for item in fields(plan.Resources)}
    return plan.Resources(**{name: value or getattr(usual, name) for name, value in given.items()})


def _events(channels: Iterable[Channel], stack: Stack) -> tuple[plan.Event, ...]:
    said: dict[str, list[str]] = {}
    heard: dict[str, list[str]] = {}
    for service in stack.services:
        for event in service.publishes:
            said.setdefault(event, []).append(service.name)
        for event in service.subscribes:
            heard.setdefault(event, []).append(service.name)
    return tuple(
        plan.Event(
            name=channel.address,
            description=channel.description,
            publishers=tuple(said.get(channel.address, ())),
            subscribers=tuple(heard.get(channel.address, ())),
        )
        for channel in channels
    )
