"""Who waits for whom: what is waited for exists, can get there, and waits for nobody in turn."""

from collections.abc import Iterator

from infra.places.diagnostics import nearest
from infra.stack.declared.declaration import Health, Infrastructure, Service
from infra.stack.declared.defaults import default_health, port_of
from infra.stack.declared.rules.context import Context, Part
from infra.stack.plan import READY_MADE


def dependencies(context: Context) -> None:
    """What is waited for exists, is another, and can reach the condition."""
    for service in context.stack.services:
        for name, condition in service.depends_on.items():
            at = (*service.at, "depends_on", name)
            target = context.parts.get(name)
            if name == service.name:
                context.error(f"'{name}' depends on itself", *at, key=True)
            elif target is None:
                hint = nearest(name, context.parts)
                context.error(f"'{name}' is no service or infrastructure{hint}", *at, key=True)
            elif condition == "service_healthy" and not _has_health(target):
                message = f"'{name}' has no health check, so it never becomes healthy"
                context.error(f"{message}; give it 'health' or wait for service_started", *at)
            elif condition == "service_completed_successfully" and not isinstance(target, Service):
                context.error(f"'{name}' never ends, so it cannot complete", *at)
            if isinstance(target, Service) and target is not service:
                _runs_where_needed(context, service, target, at)


def _has_health(part: Part) -> bool:
    return isinstance(part, Infrastructure) or bool(part.health or default_health(part))


def _runs_where_needed(
    context: Context, service: Service, target: Service, at: tuple[str | int, ...]
) -> None:
    absent = [overlay for overlay in service.overlays if overlay not in target.overlays]
    if absent:
        message = (
            f"'{target.name}' does not run in {', '.join(absent)}, where '{service.name}' does"
        )
        context.error(message, *at, key=True)
    outside = set(service.profiles) - set(target.profiles)
    if target.profiles and (outside or not service.profiles):
        profiles = ", ".join(target.profiles)
        message = (
            f"'{target.name}' runs only with profile {profiles}, '{service.name}' also without"
        )
        context.error(message, *at, key=True)


def cycles(context: Context) -> None:
    """Nobody waits for themselves in a roundabout way."""
    graph = {
        name: [
            target for target in service.depends_on if target in context.services and target != name
        ]
        for name, service in context.services.items()
    }
    done: set[str] = set()
    for start in graph:
        for ring in _rings(graph, start, done):
            first = context.services[ring[0]]
            path = " → ".join((*ring, ring[0]))
            context.error(
                f"depends_on goes in a circle: {path}",
                *first.at,
                "depends_on",
                (*ring, ring[0])[1],
                key=True,
            )


def _rings(graph: dict[str, list[str]], start: str, done: set[str]) -> Iterator[list[str]]:
    """Yield each cycle found by a depth-first walk from `start`, once."""
    if start in done:
        return
    trail: list[str] = [start]
    iterators = [iter(graph[start])]
    while trail:
        step = next(iterators[-1], None)
        if step is None:
            done.add(trail.pop())
            iterators.pop()
        elif step in trail:
            yield trail[trail.index(step) :]
        elif step not in done:
            trail.append(step)
            iterators.append(iter(graph[step]))


def health(context: Context) -> None:
    """A health check asks one thing, at a known port."""
    for service in context.stack.services:
        if service.health:
            _health(context, service, service.health)


def _health(context: Context, service: Service, check: Health) -> None:
    at = (*service.at, "health")
    if check.http and check.command:
        context.error("a health check has 'http' or 'command', not both", *at, "command", key=True)
    if not check.http and not check.command:
        context.error("a health check needs 'http' or 'command'", *at)
    if check.http and service.type in READY_MADE:
        message = "'http' is asked with Python, which a ready-made image may lack; use 'command'"
        context.error(message, *at, "http")
    if check.http and not (check.port or port_of(service)):
        context.error("'health' needs 'port': the service has none of its own", *at)
    if check.command and check.port:
        context.error("'port' goes with 'http'", *at, "port", key=True)
