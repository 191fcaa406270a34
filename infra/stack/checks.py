"""Rules about more than one value: names that meet, graphs, ports, the environment.

Each rule is a function of its own that reports what it finds; none depends on another having
passed, so that one run tells everything.
"""

import keyword
from collections.abc import Callable, Iterable, Iterator

from infra.stack.declaration import (
    OVERLAYS,
    Health,
    Infrastructure,
    Publish,
    Published,
    Service,
    Stack,
    Variable,
)
from infra.stack.defaults import attributes_of, default_health, port_of
from infra.stack.diagnostics import nearest
from infra.stack.events import EVENTS, Channel
from infra.stack.shapes import Reading

RESERVED = {
    "self": "'self' means the service itself in `from`",
    "shared": "'shared' is the package that every service imports",
    "egress": "'egress' is the network that leads out",
    "published": "'published' is the network of the host ports",
}
LOOPBACK = ("127.", "::1")
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  compared with, never bound

Part = Service | Infrastructure
Check = Callable[["Context"], None]


class Context:
    """What the rules look at: the declaration, its places, and what is declared elsewhere."""

    def __init__(self, stack: Stack, reading: Reading, events: Iterable[Channel] | None) -> None:
        self.stack = stack
        self.reading = reading
        self.events = None if events is None else tuple(event.address for event in events)
        self.services = {found.name: found for found in reversed(stack.services) if found.name}
        self.parts: dict[str, Part] = {**stack.infrastructure, **self.services}

    def error(self, message: str, *at: str | int, key: bool = False) -> None:
        """Report a mistake at a path, at its key or its value."""
        place = self.reading.key(*at) if key else self.reading.value(*at)
        self.reading.report.error(place, message)

    def warn(self, message: str, *at: str | int) -> None:
        """Report something that works but is probably not meant."""
        self.reading.report.warning(self.reading.value(*at), message)

    def variables(self) -> Iterator[tuple[Service, str, Variable]]:
        """Return every variable of every service."""
        for service in self.stack.services:
            for name, variable in service.env.items():
                yield service, name, variable


def check(context: Context) -> None:
    """Run every rule."""
    for rule in RULES:
        rule(context)


def names(context: Context) -> None:
    """A name is given once, is no reserved word, and can be a Python package where it is one."""
    lines = {
        name: context.reading.key("infrastructure", name) for name in context.stack.infrastructure
    }
    for service in context.stack.services:
        place = (*service.at, "name")
        if service.name in lines:
            first = lines[service.name].line
            context.error(
                f"duplicate name '{service.name}'; the first one is on line {first}", *place
            )
        lines.setdefault(service.name, context.reading.value(*place))
        if keyword.iskeyword(service.name) and service.type != "image":
            context.error(
                f"'{service.name}' is a Python keyword, so no package can have it", *place
            )
        if service.name in RESERVED:
            context.error(f"a service cannot be called so: {RESERVED[service.name]}", *place)
    for name in context.stack.infrastructure:
        if name in RESERVED:
            message = f"infrastructure cannot be called so: {RESERVED[name]}"
            context.error(message, "infrastructure", name, key=True)


def types(context: Context) -> None:
    """A ready-made image names its image; a built service does not."""
    for service in context.stack.services:
        if service.type == "image" and not service.image:
            context.error("type image needs 'image': the image to run", *service.at, "type")
        if service.type == "image":
            continue
        for name in ("image", "user"):
            if getattr(service, name):
                message = f"'{name}' goes with type image only; this service is built"
                context.error(message, *service.at, name, key=True)
    for name, part in context.stack.infrastructure.items():
        if part.persistence and part.type == "postgres":
            context.error("'persistence' is for redis", *part.at, "persistence", key=True)
        del name


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
                f"a cycle: {path}", *first.at, "depends_on", (*ring, ring[0])[1], key=True
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


def _health(context: Context, service: Service, found: Health) -> None:
    at = (*service.at, "health")
    if found.http and found.command:
        context.error("a health check has 'http' or 'command', not both", *at, "command", key=True)
    if not found.http and not found.command:
        context.error("a health check needs 'http' or 'command'", *at)
    if found.http and service.type == "image":
        message = "'http' is asked with Python, which a ready-made image may lack; use 'command'"
        context.error(message, *at, "http")
    if found.http and not (found.port or port_of(service)):
        context.error("'health' needs 'port': the service has none of its own", *at)
    if found.command and found.port:
        context.error("'port' goes with 'http'", *at, "port", key=True)


def environment(context: Context) -> None:
    """A variable has one source, and the source exists."""
    for service, name, variable in context.variables():
        _exclusive(context, variable)
        if variable.source:
            _reference(context, service, variable.source, *variable.at, "from")
            _absence(context, service, variable)
        twin = name.removesuffix("_FILE")
        if twin != name and twin in service.env and service.env[twin].secret:
            message = (
                f"'{name}' is how the secret '{twin}' is read from a file; it is there already"
            )
            context.error(message, *variable.at, key=True)


def _exclusive(context: Context, variable: Variable) -> None:
    given = {
        "value": variable.value is not None,
        "from": bool(variable.source),
        "secret": variable.secret,
        "default": variable.default is not None,
    }
    chosen = [name for name, there in given.items() if there]
    if variable.secret and len(chosen) > 1:
        other = next(name for name in chosen if name != "secret")
        message = f"a secret has no '{other}': it would be in the repository for everyone to read"
        context.error(message, *variable.at, other, key=True)
    elif chosen not in ([], ["value"], ["from"], ["secret"], ["default"], ["from", "default"]):
        message = f"'{chosen[0]}' and '{chosen[1]}' exclude each other"
        context.error(message, *variable.at, chosen[1], key=True)
    for name in ("scheme", "path"):
        if getattr(variable, name) and not variable.source:
            context.error(f"'{name}' goes with 'from'", *variable.at, name, key=True)


def _reference(context: Context, service: Service, source: str, *at: str | int) -> None:
    name, _, attribute = source.partition(".")
    target = service if name == "self" else context.parts.get(name)
    if target is None:
        hint = nearest(name, [*context.parts, "self"])
        context.error(f"'{name}' is no service or infrastructure{hint}", *at)
        return
    valid = attributes_of(target, itself=target is service)
    if attribute and attribute not in valid:
        missing = {
            "port": "it has no 'port'",
            "url": "it has no 'port'",
            "data": "it has no 'data' folder",
            "health_port": "it has no health check with a port",
        }.get(attribute, "there is no such attribute" + nearest(attribute, valid))
        context.error(f"'{source}' has no value: {missing}", *at)
    elif not attribute and "url" not in valid:
        context.error(f"'{name}' has no address: it has no 'port'", *at)


def _absence(context: Context, service: Service, variable: Variable) -> None:
    target = context.services.get(variable.source.partition(".")[0]) if variable.source else None
    if target is None or target is service or variable.default is not None:
        return
    absent = [overlay for overlay in service.overlays if overlay not in target.overlays]
    if absent:
        message = f"'{target.name}' does not run in {', '.join(absent)}; add a 'default'"
        context.error(message, *variable.at, "from")


def stand_ins(context: Context) -> None:
    """What is provided has a taker, one value and one provider."""
    taken = {name for _, name, _ in context.variables()}
    seen: dict[str, Service] = {}
    for service in context.stack.services:
        for name, provided in service.provides.items():
            at = provided.at
            if (provided.value is None) == (provided.source is None):
                context.error("a provided value is a 'value' or a 'from'", *at, key=True)
            if provided.source:
                _reference(context, service, provided.source, *at, "from")
            if name not in taken:
                context.error(
                    f"no service has a variable '{name}'{nearest(name, taken)}", *at, key=True
                )
            other = seen.setdefault(name, service)
            if other is not service and set(other.overlays) & set(service.overlays):
                context.error(f"'{other.name}' provides '{name}' already", *at, key=True)


def events(context: Context) -> None:
    """Events are declared in the specification, and have a publisher and a reader."""
    said: dict[str, tuple[str | int, ...]] = {}
    heard: dict[str, tuple[str | int, ...]] = {}
    for service in context.stack.services:
        for verb, uses in (("publishes", said), ("subscribes", heard)):
            for index, event in enumerate(getattr(service, verb)):
                at = (*service.at, verb, index)
                uses.setdefault(event, at)
                _declared(context, event, at)
        _event_home(context, service)
    for event in said.keys() - heard.keys():
        context.warn(f"nobody subscribes to '{event}'", *said[event])
    for event in heard.keys() - said.keys():
        context.warn(f"nobody publishes '{event}'", *heard[event])


def _declared(context: Context, event: str, at: tuple[str | int, ...]) -> None:
    if context.events is None:
        message = f"event '{event}' is not declared: there is no {EVENTS}"
    elif event not in context.events:
        message = f"event '{event}' is not declared in {EVENTS}{nearest(event, context.events)}"
    else:
        return
    context.error(message, *at)


def _event_home(context: Context, service: Service) -> None:
    verb = "publishes" if service.publishes else "subscribes"
    if not getattr(service, verb) or service.type == "image":
        return
    homes = [name for name, part in context.stack.infrastructure.items() if part.type == "redis"]
    sources = {variable.source for variable in service.env.values()}
    if not homes:
        context.error("events need an infrastructure of type redis", *service.at, verb, key=True)
    elif not sources & set(homes):
        message = f"events need a variable such as REDIS_URL: {{from: {homes[0]}}}"
        context.error(message, *service.at, verb, key=True)


def ports(context: Context) -> None:
    """A host port is taken once in an overlay, and is open to the world only for a reason."""
    parts = [(part, name) for name, part in context.stack.infrastructure.items()]
    owners: list[tuple[Part, str]] = [
        *parts,
        *((found, found.name) for found in context.stack.services),
    ]
    for overlay in OVERLAYS:
        taken: dict[int, list[tuple[str, str, int]]] = {}
        for part, name in owners:
            for port in _published(part.publish, overlay):
                _exposed(context, part, port)
                _clash(context, port, name, taken)
    for service in context.stack.services:
        _published_where_it_runs(context, service)


def _published(publish: Publish | None, overlay: str) -> tuple[Published, ...]:
    return getattr(publish, overlay) if publish else ()


def _exposed(context: Context, part: Part, port: Published) -> None:
    if not port.host_ip.startswith(LOOPBACK) and not port.reason:
        message = f"a port on {port.host_ip} is open to the network; say why in 'reason'"
        context.error(message, *port.at, "host_ip")
    if isinstance(part, Service) and not (port.target or port_of(part)):
        context.error("'target' is needed: the service has no 'port' of its own", *port.at)
    if isinstance(part, Service) and part.replicas > 1 and port.published:
        message = f"{part.replicas} replicas cannot share host port {port.published}; use 0"
        context.error(message, *port.at)


def _clash(
    context: Context, port: Published, name: str, taken: dict[int, list[tuple[str, str, int]]]
) -> None:
    if not port.published:
        return
    others = taken.setdefault(port.published, [])
    for other, address, line in others:
        if address == port.host_ip or {address, port.host_ip} & ANY_ADDRESS:
            message = f"host port {port.published} is taken by '{other}' on line {line}"
            context.error(message, *port.at)
            break
    others.append((name, port.host_ip, context.reading.value(*port.at).line))


def _published_where_it_runs(context: Context, service: Service) -> None:
    for overlay in OVERLAYS:
        found = _published(service.publish, overlay)
        at = (*service.at, "publish", overlay)
        if found and overlay not in service.overlays:
            context.error(f"'{service.name}' does not run in {overlay}", *at, key=True)
        if overlay == "tests" and any(port.published for port in found):
            context.warn("two test runs at once would want the same port; use 0", *at)


def limits(context: Context) -> None:
    """What opts out, or holds data, is consistent with itself."""
    for service in context.stack.services:
        for name in service.opt_out:
            if name == "non_root" and service.type != "image":
                message = "a built service runs as its own user; only an image may need root"
                context.error(message, *service.at, "opt_out", name, key=True)
        if service.data and service.replicas > 1:
            message = f"{service.replicas} replicas would write to the same folder"
            context.warn(message, *service.at, "data")


RULES: tuple[Check, ...] = (
    names,
    types,
    dependencies,
    cycles,
    health,
    environment,
    stand_ins,
    events,
    ports,
    limits,
)
