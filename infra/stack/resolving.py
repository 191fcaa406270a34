"""Where the value of a variable comes from."""

from typing import cast

from infra.places.reading import Reading
from infra.stack import plan
from infra.stack.declared import declaration
from infra.stack.declared.defaults import INFRASTRUCTURE


def variable_of(
    name: str,
    given: declaration.Variable,
    owner: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    reading: Reading,
) -> plan.Variable:
    """Return a variable with what decides its value."""
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
        alias=given.given_as,
        reference=reference_of(given.source, owner, parts, given.scheme, given.path),
        line=reading.key(*given.at).line if given.at else 0,
    )


def reference_of(
    source: str | None,
    owner: declaration.Service,
    parts: dict[str, declaration.Service | declaration.Infrastructure],
    scheme: str = "",
    path: str = "",
) -> plan.Reference | None:
    """Return what a `from` points to; None where there is none."""
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
