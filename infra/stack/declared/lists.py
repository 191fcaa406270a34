"""Shapes of YAML lists and tables, whose items have one shape each."""

from collections.abc import Callable
from typing import TypeVar

from yaml import MappingNode, Node, SequenceNode

from infra.places.reading import Pointer, Reading, kind_of, label, pairs
from infra.stack.declared.shapes import Schema, Shape, Text

T = TypeVar("T")


class Many(Shape[tuple[T, ...]]):
    """A list of one shape, without repetitions where the items are text."""

    def __init__(self, item: Shape[T], *, unique: bool = True, needed: bool = False) -> None:
        self.item = item
        self.unique = unique
        self.needed = needed
        self.what = f"a list ({item.what})"

    def read(self, node: Node, at: Pointer, reading: Reading) -> tuple[T, ...]:
        """Return the items that could be read."""
        if not isinstance(node, SequenceNode):
            reading.error(node, f"{label(at)} must be a list, not {kind_of(node)}")
            return ()
        if not node.value:
            hint = "it needs at least one item" if self.needed else "leave it out"
            reading.error(node, f"{label(at)} is an empty list; {hint}")
        items: list[T] = []
        for index, child in enumerate(node.value):
            reading.note((*at, index), child)
            item = self.item.read(child, (*at, index), reading)
            if self.unique and isinstance(item, str) and item in items:
                reading.error(child, f"{label(at)} names '{item}' twice")
                continue
            items.append(item)
        return tuple(items)

    def schema(self, definitions: Schema) -> Schema:
        """Return an array schema."""
        unique = {"uniqueItems": True} if self.unique else {}
        items = self.item.schema(definitions)
        return {"type": "array", "items": items, **unique, "minItems": 1}


class Table(Shape[dict[str, T]]):
    """A mapping whose keys are free within a form, and whose values have one shape."""

    def __init__(
        self, key: Text, value: Shape[T], *, listed: Callable[[], T] | None = None
    ) -> None:
        self.key = key
        self.item = value
        self.listed = listed
        self.what = f"a mapping from {key.what} to {value.what}"

    def read(self, node: Node, at: Pointer, reading: Reading) -> dict[str, T]:
        """Return the entries in file order."""
        if self.listed is not None and isinstance(node, SequenceNode):
            names = Many(self.key).read(node, at, reading)
            for index, name in enumerate(names):
                reading.note((*at, name), node.value[index])
            return dict.fromkeys(names, self.listed())
        if not isinstance(node, MappingNode):
            reading.error(node, f"{label(at)} must be a mapping, not {kind_of(node)}")
            return {}
        entries: dict[str, T] = {}
        for key, value in pairs(node, reading).values():
            here = (*at, key.value)
            reading.note(here, value, key)
            self.key.read_key(key, reading)
            entries[key.value] = self.item.read(value, here, reading)
        return entries

    def schema(self, definitions: Schema) -> Schema:
        """Return an object schema with a key pattern."""
        table = {
            "type": "object",
            "propertyNames": self.key.schema(definitions),
            "additionalProperties": self.item.schema(definitions),
        }
        if self.listed is None:
            return table
        return {"oneOf": [Many(self.key).schema(definitions), table]}
