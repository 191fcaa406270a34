"""Faults of the properties of objects: one that is required and unknown, two classes of one name.

The official schemas allow both; the generator would leave out the first and number the second.
"""

from collections.abc import Iterator
from typing import Any

from infra.codegen.specs.documents import Document
from infra.places.diagnostics import nearest
from infra.places.reading import Pointer


def required_faults(document: Document, at: Pointer) -> Iterator[str]:
    """Yield each name below a path that is required of an object that has no such property."""
    data = document.data
    for step in at:
        data = data.get(step) if isinstance(data, dict) else None
    yield from _required(document, data, at, frozenset())


def _required(
    document: Document, schema: Any, at: Pointer, around: frozenset[str]
) -> Iterator[str]:
    """Go through a schema; `around` has the properties of the object that it is a part of."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _required(document, part, (*at, index), around)
    if not isinstance(schema, dict):
        return
    known = around | _known(document, schema, set())
    required = schema.get("required")
    for index, name in enumerate(required if isinstance(required, list) else ()):
        if isinstance(name, str) and known and name not in known:
            reason = f"{name!r} is required and no property of this object{nearest(name, known)}"
            yield document.fault((*at, "required", index), reason)
    for key, value in schema.items():
        inside = known if key in {"allOf", "anyOf", "oneOf", "if", "then", "else"} else frozenset()
        yield from _required(document, value, (*at, key), inside)


def _known(document: Document, schema: Any, seen: set[str]) -> frozenset[str]:
    """Return the properties of an object: its own, and those of all that it is made of."""
    if not isinstance(schema, dict):
        return frozenset()
    properties = schema.get("properties")
    known = frozenset(properties if isinstance(properties, dict) else ())
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        known |= _known(document, part, seen)
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/") and ref not in seen:
        target = document.data
        for step in ref.removeprefix("#/").split("/"):
            target = target.get(step) if isinstance(target, dict) else None
        known |= _known(document, target, {*seen, ref})
    return known


def naming_faults(document: Document) -> Iterator[str]:
    """Yield each property whose class would have the name of another one."""
    taken: dict[str, Pointer] = {name: ("$defs", name) for name in document.data["$defs"]}
    for at in _inline(document.data["$defs"], ("$defs",)):
        name = "".join(part[:1].upper() + part[1:] for part in str(at[-1]).split("_"))
        first = taken.setdefault(name, at)
        if first != at:
            line = document.reading.nearest(*first).line
            reason = (
                f"the class of {at[-1]!r} would be called {name}, as that on line {line} is; "
                "define it once below $defs, and refer to it"
            )
            yield document.fault(at, reason)


def _inline(data: Any, at: Pointer) -> Iterator[Pointer]:
    """Yield the path of each property that is a class of its own: an enum or an object."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _inline(item, (*at, index))
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        inside = at[-1] == "properties" and isinstance(value, dict)
        if inside and ("properties" in value or "enum" in value):
            yield (*at, key)
        yield from _inline(value, (*at, key))
