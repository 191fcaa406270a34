"""Variables and events: each has one source, and the source exists."""

from infra.places.diagnostics import nearest
from infra.stack.declared.declaration import Infrastructure, Service, Variable
from infra.stack.declared.defaults import attributes_of
from infra.stack.declared.events import EVENTS
from infra.stack.declared.rules.context import Context
from infra.stack.plan import READY_MADE


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
    if variable.given_as and (variable.value is not None or variable.source):
        message = "'given_as' goes with what .env or a secret may set"
        context.error(message, *variable.at, "given_as", key=True)
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
    elif (
        attribute in {"host", "port"}
        and isinstance(target, Infrastructure)
        and (target.external or target.copies > 1)
    ):
        why = "is external" if target.external else f"has {target.copies} copies"
        message = f"'{source}' is not known in prod: '{name}' {why}; take its URL: '{name}'"
        context.error(message, *at)
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
    taken = {variable.given_as or name for _, name, variable in context.variables()}
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
    if not getattr(service, verb) or service.type in READY_MADE:
        return
    parts = context.stack.infrastructure.items()
    homes = [name for name, part in parts if part.type in {"redis", ""}]
    sources = {variable.source for variable in service.env.values()}
    if not homes:
        context.error("events need an infrastructure of type redis", *service.at, verb, key=True)
    elif not sources & set(homes):
        message = f"events need a variable such as REDIS_URL: {{from: {homes[0]}}}"
        context.error(message, *service.at, verb, key=True)
