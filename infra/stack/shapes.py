"""Shapes of YAML values: each reads a node with exact complaints and describes itself for editors.

One declaration (see `declaration`) gives both the reader and the JSON Schema, so what an editor
completes is what the tool accepts. A shape never stops at a mistake: it reports it, returns the
best value it can, and lets the checks that follow find the rest.

Plain scalars are where YAML surprises people: YAML 1.1 parsers read `on` as true, `22:22` as 1342
and `0777` as 511 (https://yaml.org/type/). A shape that wants text says so instead of guessing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Generic, TypeVar

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from infra.stack.diagnostics import Position, Report, nearest
from infra.stack.source import position

T = TypeVar("T")
Path = tuple[str | int, ...]
Schema = dict[str, Any]

TAG = "tag:yaml.org,2002:"
CANONICAL_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
CANONICAL_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)")


class Reading:
    """One pass over a file: the report, and the place of every key and value that was read."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._keys: dict[Path, Position] = {}
        self._values: dict[Path, Position] = {}

    def note(self, at: Path, value: Node, key: Node | None = None) -> None:
        """Remember where a value, and its key where it has one, was written."""
        self._values[at] = position(value.start_mark)
        if key is not None:
            self._keys[at] = position(key.start_mark)

    def value(self, *at: str | int) -> Position:
        """Return where a value is, or where the nearest thing around it is."""
        for length in range(len(at), -1, -1):
            found = self._values.get(at[:length])
            if found is not None:
                return found
        return Position(1, 1)

    def key(self, *at: str | int) -> Position:
        """Return where a value's key is; an item of a list has its own place instead."""
        return self._keys.get(at) or self.value(*at)

    def error(self, node: Node, message: str) -> None:
        """Report a mistake at a node."""
        self.report.error(position(node.start_mark), message)


class Shape(Generic[T]):
    """What one value may look like; `what` finishes the sentence 'X must be …'."""

    what: str

    def read(self, node: Node, at: Path, reading: Reading) -> T:
        """Return the node's value; report everything that is wrong with it."""
        raise NotImplementedError

    def schema(self, definitions: Schema) -> Schema:
        """Return the JSON Schema of this shape; records go into `definitions`."""
        raise NotImplementedError


def kind_of(node: Node) -> str:
    """Return what a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else "a single value"


def label(at: Path) -> str:
    """Return the path as a person writes it: `services[0].env.LOG_LEVEL` ends in `LOG_LEVEL`."""
    names = [part for part in at if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "the file"


def trap(node: ScalarNode, *, numbers: bool = False) -> str | None:
    """Return why a plain scalar is not the text it looks like, or None when it is."""
    raw, kind = node.value, node.tag.removeprefix(TAG)
    if node.style or kind == "str" or (numbers and _canonical(raw, kind)):
        return None
    if raw == "":
        return "it is empty"
    meaning = {
        "null": "nothing",
        "bool": "true" if raw.lower() in {"yes", "true", "on"} else "false",
        "timestamp": "a date",
    }.get(kind) or (f"the number {_number(raw, kind)}" if kind in {"int", "float"} else kind)
    return f"YAML reads {raw} as {meaning}; put it in quotes"


def _canonical(raw: str, kind: str) -> bool:
    forms = {"int": CANONICAL_INTEGER, "float": CANONICAL_FLOAT}
    return kind in forms and bool(forms[kind].fullmatch(raw))


def _number(raw: str, kind: str) -> str:
    from yaml import SafeLoader  # noqa: PLC0415  only a mistake pays for the constructor

    loader = SafeLoader("")
    node = ScalarNode(f"{TAG}{kind}", raw)
    value = loader.construct_yaml_int(node) if kind == "int" else loader.construct_yaml_float(node)
    return str(value)


class Text(Shape[str]):
    """A piece of text, perhaps of a certain form.

    Args:
        what: finishes the sentence 'X must be …'.
        pattern: the whole text has to match it.
        numbers: whether an unquoted number is fine, because its text is unambiguous.
        empty: whether '' is fine.
    """

    def __init__(
        self, what: str = "text", pattern: str = "", *, numbers: bool = False, empty: bool = False
    ) -> None:
        self.what = what
        self._pattern = re.compile(pattern) if pattern else None
        self._numbers = numbers
        self._empty = empty

    def read(self, node: Node, at: Path, reading: Reading) -> str:
        """Return the text exactly as written."""
        if not isinstance(node, ScalarNode):
            reading.error(node, f"{label(at)} must be {self.what}, not {kind_of(node)}")
            return ""
        why = trap(node, numbers=self._numbers)
        if why:
            reading.error(node, f"{label(at)} must be {self.what}: {why}")
        elif not node.value and not self._empty:
            reading.error(node, f"{label(at)} must be {self.what}: it is empty")
        elif self._pattern and not self._pattern.fullmatch(node.value):
            reading.error(node, f"{label(at)} must be {self.what}, not '{node.value}'")
        return str(node.value)

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return a string schema with the pattern."""
        kind: Schema = {"type": ["string", "number"] if self._numbers else "string"}
        return kind | ({"pattern": f"^(?:{self._pattern.pattern})$"} if self._pattern else {})


class Integer(Shape[int]):
    """A whole number within bounds, written in decimal digits."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum
        self.what = f"a whole number from {minimum} to {maximum}"

    def read(self, node: Node, at: Path, reading: Reading) -> int:
        """Return the number; 0777 and 22:22 are refused, not converted."""
        raw = node.value if isinstance(node, ScalarNode) else ""
        if not isinstance(node, ScalarNode):
            reading.error(node, f"{label(at)} must be {self.what}, not {kind_of(node)}")
        elif node.style:
            reading.error(node, f"{label(at)} must be {self.what}: leave out the quotes")
        elif not CANONICAL_INTEGER.fullmatch(raw):
            reading.error(node, f"{label(at)} must be {self.what}{_as_read(node)}")
        elif not self.minimum <= int(raw) <= self.maximum:
            reading.error(node, f"{label(at)} must be {self.what}, not {raw}")
        else:
            return int(raw)
        return self.minimum

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return an integer schema with its bounds."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


def _as_read(node: ScalarNode) -> str:
    if node.tag == f"{TAG}int":
        return f": YAML reads {node.value} as {_number(node.value, 'int')}"
    return f", not '{node.value}'" if node.value else ": it is empty"


class Flag(Shape[bool]):
    """true or false, in those words."""

    what = "true or false"

    def read(self, node: Node, at: Path, reading: Reading) -> bool:
        """Return the truth value; `yes`, `on` and quoted words are refused."""
        if isinstance(node, ScalarNode) and not node.style and node.value in {"true", "false"}:
            return bool(node.value == "true")
        shown = f"'{node.value}'" if isinstance(node, ScalarNode) else kind_of(node)
        reading.error(node, f"{label(at)} must be true or false, not {shown}")
        return False

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return a boolean schema."""
        return {"type": "boolean"}


class Choice(Shape[str]):
    """One of a few words, each with its meaning."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = options
        self.what = f"one of {', '.join(options)}"

    def read(self, node: Node, at: Path, reading: Reading) -> str:
        """Return the word."""
        if not isinstance(node, ScalarNode):
            reading.error(node, f"{label(at)} must be {self.what}, not {kind_of(node)}")
            return ""
        why = trap(node)
        if why:
            reading.error(node, f"{label(at)} must be {self.what}: {why}")
        elif node.value not in self.options:
            hint = nearest(node.value, self.options)
            reading.error(node, f"{label(at)} cannot be '{node.value}'{hint}")
        return str(node.value) if node.value in self.options else ""

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return the words, each with its description for the editor."""
        return {
            "oneOf": [{"const": word, "description": why} for word, why in self.options.items()]
        }


class Many(Shape[tuple[T, ...]]):
    """A list of one shape, without repetitions where the items are text."""

    def __init__(self, item: Shape[T], *, unique: bool = True, empty: bool = False) -> None:
        self.item = item
        self.unique = unique
        self.empty = empty
        self.what = f"a list ({item.what})"

    def read(self, node: Node, at: Path, reading: Reading) -> tuple[T, ...]:
        """Return the items that could be read."""
        if not isinstance(node, SequenceNode):
            reading.error(node, f"{label(at)} must be a list, not {kind_of(node)}")
            return ()
        if not node.value and not self.empty:
            reading.error(node, f"{label(at)} is an empty list; leave it out")
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
        least = {} if self.empty else {"minItems": 1}
        return {"type": "array", "items": self.item.schema(definitions), **unique, **least}


def pairs(node: MappingNode, reading: Reading) -> list[tuple[ScalarNode, Node]]:
    """Return a mapping's entries with `<<` merged in; duplicate and strange keys are reported."""
    own: dict[str, tuple[ScalarNode, Node]] = {}
    merged: dict[str, tuple[ScalarNode, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            reading.error(key, f"a key must be text, not {kind_of(key)}")
        elif key.tag == f"{TAG}merge":
            merged |= _merge(value, reading)
        elif key.value in own:
            first = position(own[key.value][0].start_mark).line
            reading.error(key, f"duplicate key '{key.value}'; the first one is on line {first}")
        else:
            own[key.value] = (key, value)
    return list((merged | own).values())


def _merge(node: Node, reading: Reading) -> dict[str, tuple[ScalarNode, Node]]:
    sources = node.value if isinstance(node, SequenceNode) else [node]
    found: dict[str, tuple[ScalarNode, Node]] = {}
    for source in sources:
        if not isinstance(source, MappingNode):
            reading.error(source, "'<<' merges mappings only")
            continue
        found = {key.value: (key, value) for key, value in pairs(source, reading)} | found
    return found


class Table(Shape[dict[str, T]]):
    """A mapping whose keys are free within a form, and whose values have one shape."""

    def __init__(
        self, key: Text, value: Shape[T], *, listed: Callable[[], T] | None = None
    ) -> None:
        self.key = key
        self.item = value
        self.listed = listed
        self.what = f"a mapping from {key.what} to {value.what}"

    def read(self, node: Node, at: Path, reading: Reading) -> dict[str, T]:
        """Return the entries in file order."""
        if self.listed is not None and isinstance(node, SequenceNode):
            names = Many(self.key).read(node, at, reading)
            for index, name in enumerate(names):
                reading.note((*at, name), node.value[index])
            return dict.fromkeys(names, self.listed())
        if not isinstance(node, MappingNode):
            reading.error(node, f"{label(at)} must be a mapping, not {kind_of(node)}")
            return {}
        found: dict[str, T] = {}
        for key, value in pairs(node, reading):
            here = (*at, key.value)
            reading.note(here, value, key)
            self.key.read(key, here, reading)
            found[key.value] = self.item.read(value, here, reading)
        return found

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


class Record(Shape[T]):
    """A mapping with named keys, read into a frozen dataclass made of `item`s.

    Args:
        kind: the dataclass; its docstring is the description in the schema.
        noun: what messages call it.
        short: the key that a single value stands for, where there is a short form.
        extensions: whether `x-…` keys may carry anything, as in Compose.
    """

    def __init__(
        self, kind: type[T], noun: str, short: str = "", *, extensions: bool = False
    ) -> None:
        self.kind = kind
        self.noun = noun
        self.what = noun
        self.extensions = extensions
        self.items: dict[str, Field[Any]] = {
            found.metadata["key"] or found.name: found
            for found in fields(kind)  # type: ignore[arg-type]  # every kind is a dataclass
            if "shape" in found.metadata
        }
        self.short = short

    def read(self, node: Node, at: Path, reading: Reading) -> T:
        """Return the record; what is missing or wrong is reported and has its default."""
        reading.note(at, node)
        if self.short and isinstance(node, ScalarNode):
            found = self.items[self.short]
            return self.kind(
                **self._defaults(at, {found.name: self._read(found, node, at, reading)})
            )
        if not isinstance(node, MappingNode):
            reading.error(node, f"{self.noun} must be a mapping, not {kind_of(node)}")
            return self.kind(**self._defaults(at, {}))
        given: dict[str, Any] = {}
        for key, value in pairs(node, reading):
            here = (*at, key.value)
            reading.note(here, value, key)
            if key.value in self.items:
                known = self.items[key.value]
                given[known.name] = self._read(known, value, here, reading)
            elif not (self.extensions and key.value.startswith("x-")):
                hint = nearest(key.value, self.items)
                reading.error(key, f"unknown key '{key.value}' in {self.noun}{hint}")
        for name, known in self.items.items():
            if known.metadata["required"] and known.name not in given:
                reading.error(node, f"{self.noun} needs '{name}': {known.metadata['description']}")
        return self.kind(**self._defaults(at, given))

    @staticmethod
    def _read(known: Field[Any], node: Node, at: Path, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.tag == f"{TAG}null" and not node.style:
            reading.error(node, f"{label(at)} is empty; give it a value or leave it out")
            return {} if known.default is MISSING else known.default
        return known.metadata["shape"].read(node, at, reading)

    def _defaults(self, at: Path, given: dict[str, Any]) -> dict[str, Any]:
        return given | {"at": at}

    def schema(self, definitions: Schema) -> Schema:
        """Return a reference to the record's definition, made on first use."""
        name = self.kind.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name].update(self._definition(definitions))
        return {"$ref": f"#/$defs/{name}"}

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
        required: whether leaving it out is a mistake; `default` is then used to go on checking.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Something that was written in the file; `at` is its path, for messages about it."""

    at: Path = ()


__all__: Sequence[str] = (
    "Choice",
    "Declared",
    "Flag",
    "Integer",
    "Many",
    "Path",
    "Reading",
    "Record",
    "Shape",
    "Table",
    "Text",
    "item",
    "label",
    "pairs",
)
