"""Walk YAML nodes: where each value was, what a plain scalar means to YAML, what `<<` merges.

Plain scalars are where YAML surprises people: YAML 1.1 parsers read `on` as true, `22:22` as 1342
and `0777` as 511 (https://yaml.org/type/). A shape that wants text says so instead of guessing.
"""

import re
from collections.abc import Callable
from typing import Any

from yaml import MappingNode, Node, SafeLoader, ScalarNode, SequenceNode

from infra.places.diagnostics import Position, Report
from infra.places.source import TAG, position

Pointer = tuple[str | int, ...]
Pairs = dict[str, tuple[ScalarNode, Node]]

KINDS = {"str", "null", "bool", "int", "float", "timestamp", "merge", "value"}
CANONICAL_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
CANONICAL_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)")
SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": lambda text: int(text, 0),
    "float": float,
    "str": str,
}


class Reading:
    """One pass over a file: the report, and the place of every key and value that was read."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._keys: dict[Pointer, Position] = {}
        self._values: dict[Pointer, Position] = {}
        self._below: dict[Pointer, set[str]] = {}

    def note(self, at: Pointer, value: Node, key: Node | None = None) -> None:
        """Remember where a value, and its key where it has one, was written."""
        self._values[at] = position(value.start_mark)
        if key is not None:
            self._keys[at] = position(key.start_mark)
            self._below.setdefault(at[:-1], set()).add(str(at[-1]))

    def value(self, *at: str | int) -> Position:
        """Return where a value is, or where the nearest thing around it is."""
        for length in range(len(at), -1, -1):
            place = self._values.get(at[:length])
            if place is not None:
                return place
        return Position(1, 1)

    def key(self, *at: str | int) -> Position:
        """Return where a value's key is; an item of a list has its own place instead."""
        return self._keys.get(at) or self.value(*at)

    def nearest(self, *at: str | int) -> Position:
        """Return where the key of a value is, or that of the nearest thing around it."""
        for length in range(len(at), -1, -1):
            place = self._keys.get(at[:length]) or self._values.get(at[:length])
            if place is not None:
                return place
        return Position(1, 1)

    def keys_below(self, at: Pointer) -> frozenset[str]:
        """Return the keys that are written in the mapping at a path."""
        return frozenset(self._below.get(at, ()))

    def error(self, node: Node, message: str) -> None:
        """Report a mistake at a node."""
        self.report.error(position(node.start_mark), message)


def kind_of(node: Node) -> str:
    """Return what a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else "a single value"


def label(at: Pointer) -> str:
    """Return the path as a person writes it: `services[0].env.LOG_LEVEL` ends in `LOG_LEVEL`."""
    names = [part for part in at if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "the file"


def trap(node: ScalarNode, *, numbers: bool = False) -> str | None:
    """Return why a plain scalar is not the text it looks like, or None when it is."""
    raw, kind = node.value, node.tag.removeprefix(TAG)
    if kind not in KINDS:
        return f"the tag {node.tag.replace(TAG, '!!')} has no meaning here"
    if node.style or kind == "str" or (numbers and _canonical(raw, kind)):
        return None
    if raw == "":
        return "it is empty"
    meanings = {
        "null": "nothing",
        "bool": "true" if raw.lower() in {"yes", "true", "on"} else "false",
        "timestamp": "a date",
    }
    meaning = meanings.get(kind) or f"the number {number_as_read(raw, kind)}".rstrip()
    return f"YAML reads {raw} as {meaning}; put it in quotes"


def _canonical(raw: str, kind: str) -> bool:
    forms = {"int": CANONICAL_INTEGER, "float": CANONICAL_FLOAT}
    return kind in forms and bool(forms[kind].fullmatch(raw))


def number_as_read(raw: str, kind: str) -> str:
    """Return the number that a YAML 1.1 parser makes of a scalar, or '' where it fails."""
    loader = SafeLoader("")
    node = ScalarNode(f"{TAG}{kind}", raw)
    read = loader.construct_yaml_int if kind == "int" else loader.construct_yaml_float
    try:
        return str(read(node))
    except (ValueError, IndexError):
        return ""


def pairs(node: MappingNode, reading: Reading, inside: tuple[Node, ...] = ()) -> Pairs:
    """Return a mapping's entries by key, `<<` merged in; duplicate and strange keys are reported.

    Args:
        node: the mapping.
        reading: where mistakes are reported.
        inside: the mappings that are being merged into, outermost first.
    """
    own: Pairs = {}
    merged: Pairs = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            reading.error(key, f"a key must be text, not {kind_of(key)}")
        elif key.tag == f"{TAG}merge":
            merged |= _merge(value, reading, (*inside, node))
        elif key.value in own:
            first = position(own[key.value][0].start_mark).line
            reading.error(key, f"duplicate key '{key.value}'; the first one is on line {first}")
        else:
            own[key.value] = (key, value)
    return merged | own


def _merge(node: Node, reading: Reading, inside: tuple[Node, ...]) -> Pairs:
    merged: Pairs = {}
    for source in node.value if isinstance(node, SequenceNode) else [node]:
        if not isinstance(source, MappingNode):
            reading.error(source, "'<<' merges mappings only")
        elif source in inside:
            reading.error(source, "'<<' merges a mapping into itself")
        else:
            merged = pairs(source, reading, inside) | merged
    return merged


def plain(node: Node, reading: Reading, at: Pointer = (), inside: tuple[Node, ...] = ()) -> Any:
    """Return a node as JSON would have it, and note the place of everything in it.

    Reported are keys that stand twice or are no text, aliases that contain themselves, and scalars
    that JSON has no form for.

    Args:
        node: the node.
        reading: where places are noted and mistakes are reported.
        at: the path of the node.
        inside: the nodes around it, outermost first.
    """
    reading.note(at, node)
    if isinstance(node, ScalarNode):
        return _scalar(node, reading)
    if node in inside:
        reading.error(node, "an alias must not contain itself")
        return None
    around = (*inside, node)
    if isinstance(node, MappingNode):
        table = {}
        for name, (key, value) in pairs(node, reading).items():
            table[name] = plain(value, reading, (*at, name), around)
            reading.note((*at, name), value, key)
        return table
    return [plain(item, reading, (*at, index), around) for index, item in enumerate(node.value)]


def _scalar(node: ScalarNode, reading: Reading) -> Any:
    try:
        return scalar_of(node)
    except ValueError as error:
        reading.error(node, str(error))
        return None


def scalar_of(node: ScalarNode) -> Any:
    """Return a scalar as JSON would have it.

    Raises:
        ValueError: JSON has no such type, or no such form of it; the message says which.
    """
    kind = node.tag.removeprefix(TAG)
    if kind not in SCALARS:
        raise ValueError(f"'{node.value}' has the tag {node.tag}, which JSON does not know")
    try:
        return SCALARS[kind](node.value)
    except (ValueError, KeyError):
        raise ValueError(f"'{node.value}' is no {kind} that JSON knows") from None
