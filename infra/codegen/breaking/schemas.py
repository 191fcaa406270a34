"""Schemas as a reader sees them: references followed, `allOf` merged, every part with its place."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from infra.codegen.specs.documents import Document
from infra.places.reading import Pointer

ANNOTATIONS = frozenset(
    {"$comment", "$id", "$schema", "default", "deprecated", "description", "example", "examples"}
    | {"readOnly", "title", "writeOnly"}
)
WITHOUT_EFFECT = (("additionalProperties", True), ("uniqueItems", False))
"""Demands that say what holds without them."""


@dataclass(frozen=True)
class Specs:
    """The two documents that describe events."""

    events: Document
    models: Document


@dataclass(frozen=True)
class Node:
    """A schema where it stands: in which document, under which pointer."""

    document: Document
    pointer: Pointer
    data: Any

    def below(self, *steps: str | int) -> "Node":
        """Return the schema under some steps, which are there."""
        data = self.data
        for step in steps:
            data = data[step]
        return Node(self.document, (*self.pointer, *steps), data)

    def fault(self, reason: str, *steps: str) -> str:
        """Return the message for a fault of this schema, or of a part of it."""
        return self.document.fault((*self.pointer, *steps), reason)


@dataclass
class View:
    """What a schema demands, wherever each part of it is written.

    Attributes:
        node: Where the schema begins, after its references.
        types: The JSON types that it takes; empty where it takes any.
        properties: The schema of each named field.
        required: The fields that must be there.
        items: The schema of an array's items.
        others: Every other demand, by keyword.
        deprecated: Whether it says that it will go.
    """

    node: Node
    types: frozenset[str] = frozenset()
    properties: dict[str, Node] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    items: Node | None = None
    others: dict[str, Any] = field(default_factory=dict)
    deprecated: bool = False


def view(specs: Specs, node: Node) -> View:
    """Return what a schema demands, with everything that it refers to."""
    demanded = View(_followed(specs, node))
    for part in _parts(specs, node, set()):
        _add(demanded, part)
    return demanded


def expanded(specs: Specs, node: Node, seen: frozenset[Pointer] = frozenset()) -> Any:
    """Return the plain data of a schema without references and annotations, to be compared."""
    if isinstance(node.data, list):
        return [expanded(specs, node.below(at), seen) for at in range(len(node.data))]
    if not isinstance(node.data, dict):
        return node.data
    target = target_of(specs, node)
    data: dict[str, Any] = {}
    if target is not None:
        again = target.pointer in seen
        inside = {} if again else expanded(specs, target, seen | {target.pointer})
        data.update(inside if isinstance(inside, dict) else {"$ref": inside})
    for key in node.data:
        if key != "$ref" and key not in ANNOTATIONS:
            data[key] = expanded(specs, node.below(key), seen)
    return data


def target_of(specs: Specs, node: Node) -> Node | None:
    """Return what a schema's own reference points to; None where it has none, or it is broken."""
    ref = node.data.get("$ref") if isinstance(node.data, dict) else None
    if not isinstance(ref, str):
        return None
    name, _, fragment = ref.partition("#")
    document = specs.models if name.endswith(specs.models.path.name) else node.document
    target = Node(document, (), document.data)
    for step in fragment.strip("/").split("/"):
        if not isinstance(target.data, dict) or step not in target.data:
            return None
        target = target.below(step)
    return target


def _followed(specs: Specs, node: Node) -> Node:
    seen: set[Pointer] = set()
    target = target_of(specs, node)
    while target is not None and target.pointer not in seen:
        seen.add(target.pointer)
        node, target = target, target_of(specs, target)
    return node


def _parts(specs: Specs, node: Node, seen: set[Pointer]) -> Iterator[Node]:
    """Yield the schemas that all hold at once, the outermost last: it has the last word."""
    if not isinstance(node.data, dict) or node.pointer in seen:
        return
    seen.add(node.pointer)
    target = target_of(specs, node)
    if target is not None:
        yield from _parts(specs, target, seen)
    for at in range(len(node.data.get("allOf") or ())):
        yield from _parts(specs, node.below("allOf", at), seen)
    yield node


def _add(demanded: View, part: Node) -> None:
    data = part.data
    types = data.get("type")
    if types:
        demanded.types = frozenset([types] if isinstance(types, str) else types)
    for name in data.get("properties") or ():
        demanded.properties[name] = part.below("properties", name)
    demanded.required |= set(data.get("required") or ())
    if "items" in data:
        demanded.items = part.below("items")
    demanded.deprecated = demanded.deprecated or bool(data.get("deprecated"))
    known = {"$ref", "allOf", "items", "properties", "required", "type"}
    for key in data:
        ignored = key in known or key in ANNOTATIONS or key.startswith("x-")
        if not ignored and (key, data[key]) not in WITHOUT_EFFECT:
            demanded.others[key] = part.below(key)
