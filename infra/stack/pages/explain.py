"""Say every resolved value of one part of the stack, and where it came from."""

from collections.abc import Iterator
from dataclasses import fields

from infra.places.diagnostics import InputError, nearest
from infra.stack.compose.acl import consoled, rules, uses
from infra.stack.compose.addresses import in_compose
from infra.stack.compose.copies import companion_of
from infra.stack.compose.networks import Networks
from infra.stack.compose.secrets import mounted, secret_files
from infra.stack.plan import OVERLAYS, Infrastructure, Plan, Service, Variable

EX_USAGE = 64
DEFAULT = "default"
PROTECTIONS = {
    "non_root": "runs as a user without rights",
    "read_only": "its file system is read-only, /tmp is in memory",
    "cap_drop": "it has no Linux capabilities",
    "no_new_privileges": "nothing in it can gain privileges",
    "init": "an init process reaps children and forwards signals",
}

Row = tuple[str, str, str]


class UnknownPartError(InputError):
    """Nothing of that name is in the stack."""

    exit_code = EX_USAGE


def explain(plan: Plan, name: str, written: frozenset[str] = frozenset()) -> str:
    """Return a table of what the stack makes of one service or infrastructure.

    Args:
        plan: the stack.
        name: the service or infrastructure.
        written: the keys that services.yml gives for it; everything else is a default.

    Raises:
        UnknownPartError: there is none of that name.
    """
    parts: dict[str, Service | Infrastructure] = {part.name: part for part in plan.infrastructure}
    parts |= {service.name: service for service in plan.services}
    if name not in parts:
        hint = nearest(name, parts)
        raise UnknownPartError(f"'{name}' is no service or infrastructure{hint}")
    part = parts[name]
    rows = (
        _service(plan, part, written) if isinstance(part, Service) else _infra(plan, part, written)
    )
    return _table(f"{name} ({part.type}, services.yml:{part.line})", list(rows))


def _service(plan: Plan, service: Service, written: frozenset[str]) -> Iterator[Row]:
    for key, value in _plain(service):
        yield key, value, "services.yml" if key in written else DEFAULT
    yield from _updates(service, written)
    for waited in service.depends_on:
        yield "waits for", f"{waited.name}: {waited.condition}", "services.yml"
    if service.health:
        shown = service.health.path or " ".join(service.health.command)
        where = f"port {service.health.port}, " if service.health.port else ""
        every = f"{where}every {service.health.interval}"
        yield "health", f"{shown} ({every})", "services.yml" if "health" in written else DEFAULT
    files = mounted(plan)
    for variable in service.env:
        secret = files.get((service.name, variable.name))
        yield (
            f"env {variable.name}",
            *_variable(plan, service, variable, secret.path if secret else ""),
        )
    for event in service.publishes:
        yield "publishes", event, "services.yml"
    for event in service.subscribes:
        yield "subscribes", event, "services.yml"
    for overlay in service.console:
        yield "console", overlay, "services.yml"
    events = consoled(plan, service, *service.console)
    for redis in plan.infrastructure:
        if redis.type == "redis" and uses(service, redis):
            origin = "from publishes and subscribes" + (", console where that is" if events else "")
            yield "redis user", " ".join(rules(service, redis, events)), origin
    yield from _reach(plan, service)
    yield from _protection(service)


def _infra(plan: Plan, part: Infrastructure, written: frozenset[str]) -> Iterator[Row]:
    for key in ("persistence", "stop_grace_period"):
        if getattr(part, key):
            origin = "services.yml" if key in written else DEFAULT
            yield key.replace("_", " "), getattr(part, key), origin
    yield from _limits(part, "services.yml" if "resources" in written else DEFAULT)
    if part.copies > 1:
        beside = f"one on each of {part.copies} servers, with {companion_of(part)} beside it"
        yield "copies", f"{part.copies} in prod: {beside}", "services.yml"
    if part.external:
        yield "external", "in prod run elsewhere, each address of it is a secret", "services.yml"
    yield "address", f"{part.scheme}://{part.name}:{part.port}", DEFAULT
    for secret in secret_files(plan):
        if part.name in secret.readers:
            yield "secret", f"secrets/{secret.name}", secret.origin
    yield from _reach(plan, part)


def _plain(service: Service) -> Iterator[tuple[str, str]]:
    yield "description", service.description
    built = f"services/Dockerfile, SERVICE={service.name}"
    yield "image", service.image or (built if service.built else "made of its Dockerfile in infra")
    yield "command", " ".join(service.command) or "the image's own"
    yield "overlays", ", ".join(service.overlays)
    yield "profiles", ", ".join(service.profiles) or "none"
    yield "port", str(service.port or "none")
    yield "data", service.data or "none"
    yield "replicas", str(service.replicas)
    yield "stop_grace_period", service.stop_grace_period
    for item in fields(service.resources):
        yield "resources", f"{item.name} {getattr(service.resources, item.name)}"


def _updates(service: Service, written: frozenset[str]) -> Iterator[Row]:
    if service.type == "caddy":
        yield "answers for", f"{service.host}; .env may change it", "services.yml"
        given = "certificate" in written
        yield "certificate", service.certificate, "services.yml" if given else DEFAULT
        yield "passes on to", ", ".join(service.fronts) or "nobody", "from updates"
    elif service.bot_token is not None:
        yield "updates", service.updates, "services.yml" if "updates" in written else DEFAULT


def _limits(part: Infrastructure, origin: str) -> Iterator[Row]:
    for item in fields(part.resources):
        yield "resources", f"{item.name} {getattr(part.resources, item.name)}", origin


def _variable(plan: Plan, service: Service, variable: Variable, file: str) -> tuple[str, str]:
    line = f"services.yml:{variable.line}" if variable.line else "brought by its type"
    in_prod = f"; in prod {variable.name}_FILE={file}" if file else ""
    if variable.reference:
        origin = f"from {variable.reference.target}.{variable.reference.attribute}"
        return in_compose(plan, variable.reference, service.name) + in_prod, f"{origin} ({line})"
    given_as = f" as {variable.alias}" if variable.alias else ""
    if variable.secret:
        return f"(secret){in_prod}", f".env{given_as} ({line})"
    if variable.kind == "required":
        return "(whoever runs it sets it)", f".env{given_as} ({line})"
    if variable.kind == "default":
        return variable.value or "''", f"{DEFAULT}; .env may change it{given_as} ({line})"
    return variable.value or "''", line


def _reach(plan: Plan, part: Service | Infrastructure) -> Iterator[Row]:
    for overlay in OVERLAYS:
        if isinstance(part, Infrastructure) or overlay in part.overlays:
            names = Networks(plan, overlay).of(part)
            own = "the server's own" if part in plan.stores(overlay) else "none"
            shown = ", ".join(names) or (own if isinstance(part, Infrastructure) else "none")
            yield f"networks in {overlay}", shown, "from what it reaches"
            for port in part.published.get(overlay, ()):
                shown = f"{port.host_ip}:{port.published or 'a free port'} → {port.target}"
                yield f"host port in {overlay}", shown, port.reason or "services.yml"


def _protection(service: Service) -> Iterator[Row]:
    for name, meaning in PROTECTIONS.items():
        gone = [opt_out.reason for opt_out in service.opt_outs if opt_out.protection == name]
        yield name, f"OFF: {gone[0]}" if gone else meaning, "opt_out" if gone else DEFAULT
    for kept in service.capabilities:
        yield "capability", f"{kept.protection}: {kept.reason}", "services.yml"


def _table(title: str, rows: list[Row]) -> str:
    first = max(len(key) for key, _, _ in rows)
    lines = [title]
    last = ""
    for key, value, origin in rows:
        shown = "" if key == last else key
        lines.append(f"  {shown.ljust(first)}  {value}  [{origin}]")
        last = key
    return "\n".join(lines)
