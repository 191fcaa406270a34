"""Records: mappings with named keys, each key declared once with its shape and description."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

from yaml import MappingNode, Node, ScalarNode

from infra.places.diagnostics import nearest
from infra.places.reading import Pointer, Reading, kind_of, label, pairs
from infra.places.source import TAG
from infra.stack.declared.shapes import Schema, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Something that was written in the file; `at` is its path, for messages about it."""

    at: Pointer = ()


T = TypeVar("T", bound=Declared)


class Record(Shape[T]):
    """A mapping with named keys, read into a frozen dataclass made of `item`s.

    Args:
        kind: the dataclass; its docstring is the description in the schema.
        noun: what messages call it.
        short: the key that a single value stands for, where there is a short form.
        instead: what to say of keys that people know from elsewhere.
        extensions: whether `x-…` keys may carry anything, as in Compose.
    """

    def __init__(
        self,
        kind: type[T],
        noun: str,
        short: str = "",
        *,
        instead: Mapping[str, str] | None = None,
        extensions: bool = False,
    ) -> None:
        self.kind = kind
        self.noun = noun
        self.what = noun
        self.extensions = extensions
        self.instead = instead or {}
        self.items: dict[str, Field[Any]] = {
            declared.metadata["key"] or declared.name: declared
            for declared in fields(kind)
            if "shape" in declared.metadata
        }
        self.short = short

    def read(self, node: Node, at: Pointer, reading: Reading) -> T:
        """Return the record; what is missing or wrong is reported and has its default."""
        reading.note(at, node)
        if self.short and isinstance(node, ScalarNode):
            short = self.items[self.short]
            return self.kind(**{short.name: self._read(short, node, at, reading)}, at=at)
        if not isinstance(node, MappingNode):
            reading.error(node, f"{self.noun} must be a mapping, not {kind_of(node)}")
            return self.kind(at=at)
        given: dict[str, Any] = {}
        for key, value in pairs(node, reading).values():
            here = (*at, key.value)
            reading.note(here, value, key)
            if key.value in self.items:
                known = self.items[key.value]
                given[known.name] = self._read(known, value, here, reading)
            elif not (self.extensions and key.value.startswith("x-")):
                reading.error(
                    key, f"unknown key '{key.value}' in {self.noun}{self._hint(key.value)}"
                )
        for name, known in self.items.items():
            if known.metadata["required"] and known.name not in given:
                reading.error(node, f"{self.noun} needs '{name}': {known.metadata['description']}")
        return self.kind(**given, at=at)

    def _hint(self, key: str) -> str:
        return f"; {self.instead[key]}" if key in self.instead else nearest(key, self.items)

    @staticmethod
    def _read(known: Field[Any], node: Node, at: Pointer, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.tag == f"{TAG}null" and not node.style:
            reading.error(node, f"{label(at)} is empty; give it a value or leave it out")
            return {} if known.default is MISSING else known.default
        return known.metadata["shape"].read(node, at, reading)

    def schema(self, definitions: Schema) -> Schema:
        """Return a reference to the record's definition, made on first use."""
        name = self.kind.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name].update(self._definition(definitions))
        return {"$ref": f"#/definitions/{name}"}

    def _definition(self, definitions: Schema) -> Schema:
        properties = {
            name: {
                "description": known.metadata["description"],
                **_default(known),
                **known.metadata["shape"].schema(definitions),
            }
            for name, known in self.items.items()
        }
        required = [name for name, known in self.items.items() if known.metadata["required"]]
        table: Schema = {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            **({"patternProperties": {"^x-": {}}} if self.extensions else {}),
            "additionalProperties": False,
        }
        described = {"description": _first_paragraph(self.kind.__doc__)}
        if not self.short:
            return described | table
        short = self.items[self.short].metadata["shape"].schema(definitions)
        return described | {"oneOf": [short, table]}


def _default(known: Field[Any]) -> Schema:
    shown = known.metadata["shown"]
    return {} if shown is None else {"default": shown}


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n", maxsplit=1)[0].split())


def item(
    shape: Shape[Any],
    description: str,
    *,
    default: Any = None,
    key: str = "",
    required: bool = False,
) -> Any:
    """Declare one key of a record: its shape, what it is for, and its default.

    Args:
        shape: what its value may look like.
        description: one sentence; it is shown by editors and in messages.
        default: its value where the key is left out.
        key: its name in the file where that is no Python name.
        required: whether leaving it out is a mistake; `default` is then used to go on checking, so
            it is of the type that the rules expect, like everything that was read wrongly.
    """
    shown = None if required or default in (None, (), {}, "") else default
    metadata = {
        "shape": shape,
        "description": description,
        "key": key,
        "required": required,
        "shown": shown,
    }
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)
