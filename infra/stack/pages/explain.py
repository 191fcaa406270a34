"""Say every resolved value of one part of the stack, and where it came from."""

from collections.abc import Iterator
from dataclasses import fields

from infra.places.diagnostics import InputError, nearest
from infra.stack.compose.acl import rules, uses
from infra.stack.compose.addresses import in_compose
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
    parts: dict[str, Service | Infrastructure] = {one.name: one for one in plan.infrastructure}
    parts |= {one.name: one for one in plan.services}
    if name not in parts:
        hint = nearest(name, parts)
        raise UnknownPartError(f"'{name}' is no service or infrastructure{hint}")
    part = parts[name]
    rows = (
        _service(plan, part, written) if isinstance(part, Service) else _infra(plan, part, written)
    )
    return _table(f"{name} ({part.type}, services.yml:{part.line})", list(rows))


def _service(plan: Plan, found: Service, written: frozenset[str]) -> Iterator[Row]:
    for key, value in _plain(found):
        yield key, value, "services.yml" if key in written else DEFAULT
    for waited in found.depends_on:
        yield "waits for", f"{waited.name}: {waited.condition}", "services.yml"
    if found.health:
        shown = found.health.path or " ".join(found.health.command)
        where = f"port {found.health.port}, " if found.health.port else ""
        every = f"{where}every {found.health.interval}"
        yield "health", f"{shown} ({every})", "services.yml" if "health" in written else DEFAULT
    files = mounted(plan)
    for variable in found.env:
        secret = files.get((found.name, variable.name))
        yield (
            f"env {variable.name}",
            *_variable(plan, found, variable, secret.path if secret else ""),
        )
    for event in found.publishes:
        yield "publishes", event, "services.yml"
    for event in found.subscribes:
        yield "subscribes", event, "services.yml"
    for redis in plan.infrastructure:
        if redis.type == "redis" and uses(found, redis):
            yield "redis user", " ".join(rules(found)), "from publishes and subscribes"
    yield from _reach(plan, found)
    yield from _protection(found)


def _infra(plan: Plan, part: Infrastructure, written: frozenset[str]) -> Iterator[Row]:
    for key in ("persistence", "stop_grace_period"):
        if getattr(part, key):
            origin = "services.yml" if key in written else DEFAULT
            yield key.replace("_", " "), getattr(part, key), origin
    yield from _limits(part, "services.yml" if "resources" in written else DEFAULT)
    yield "address", f"{part.scheme}://{part.name}:{part.port}", DEFAULT
    for secret in secret_files(plan):
        if part.name in secret.readers:
            yield "secret", f"secrets/{secret.name}", secret.origin
    yield from _reach(plan, part)


def _plain(found: Service) -> Iterator[tuple[str, str]]:
    yield "description", found.description
    yield "image", found.image or f"services/Dockerfile, SERVICE={found.name}"
    yield "command", " ".join(found.command) or "the image's own"
    yield "overlays", ", ".join(found.overlays)
    yield "profiles", ", ".join(found.profiles) or "none"
    yield "port", str(found.port or "none")
    yield "data", found.data or "none"
    yield "replicas", str(found.replicas)
    yield "stop_grace_period", found.stop_grace_period
    for item in fields(found.resources):
        yield "resources", f"{item.name} {getattr(found.resources, item.name)}"


def _limits(part: Infrastructure, origin: str) -> Iterator[Row]:
    for item in fields(part.resources):
        yield "resources", f"{item.name} {getattr(part.resources, item.name)}", origin


def _variable(plan: Plan, found: Service, variable: Variable, file: str) -> tuple[str, str]:
    line = f"services.yml:{variable.line}" if variable.line else "brought by its type"
    in_prod = f"; in prod {variable.name}_FILE={file}" if file else ""
    if variable.reference:
        origin = f"from {variable.reference.target}.{variable.reference.attribute}"
        return in_compose(plan, variable.reference, found.name) + in_prod, f"{origin} ({line})"
    if variable.secret:
        return f"(secret){in_prod}", f".env ({line})"
    if variable.kind == "required":
        return "(whoever runs it sets it)", f".env ({line})"
    if variable.kind == "default":
        return variable.value or "''", f"{DEFAULT}; .env may change it ({line})"
    return variable.value or "''", line


def _reach(plan: Plan, part: Service | Infrastructure) -> Iterator[Row]:
    for overlay in OVERLAYS:
        if isinstance(part, Infrastructure) or overlay in part.overlays:
            names = Networks(plan, overlay).of(part)
            yield f"networks in {overlay}", ", ".join(names) or "none", "from what it reaches"
            for port in part.published.get(overlay, ()):
                shown = f"{port.host_ip}:{port.published or 'a free port'} → {port.target}"
                yield f"host port in {overlay}", shown, port.reason or "services.yml"


def _protection(found: Service) -> Iterator[Row]:
    for name, meaning in PROTECTIONS.items():
        gone = [one.reason for one in found.opt_outs if one.protection == name]
        yield name, f"OFF: {gone[0]}" if gone else meaning, "opt_out" if gone else DEFAULT
    for kept in found.capabilities:
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
