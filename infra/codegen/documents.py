"""YAML documents whose every value remembers its line and column.

Errors:
    SpecError            one or more finished messages, `file:line:col: reason`
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Pointer = tuple[Hashable, ...]
Place = tuple[int, int]

SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": lambda text: int(text.replace("_", ""), 0),
    "tag:yaml.org,2002:float": lambda text: float(text.replace("_", "").replace(".inf", "inf")),
}


class SpecError(Exception):
    """A spec that cannot be used; its text is every fault, one a line."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True)
class Document:
    """One YAML file: its plain JSON data, and the place of every value in it.

    Attributes:
        path: The file.
        name: The file's path as messages show it, relative to the repository.
        data: What the file says, as JSON would: no timestamps, no sets, no tags.
        places: Line and column, counted from 1, of the value under each pointer.
    """

    path: Path
    name: str
    data: Any
    places: dict[Pointer, Place] = field(repr=False)

    def fault(self, pointer: Iterable[Hashable], reason: str) -> str:
        """Return the message for a fault at the pointer, or at the nearest place above it."""
        steps = tuple(pointer)
        while steps and steps not in self.places:
            steps = steps[:-1]
        line, column = self.places.get(steps, (1, 1))
        return f"{self.name}:{line}:{column}: {reason}"


def load(root: Path, path: Path) -> Document:
    """Read one YAML 1.2 file.

    Args:
        root: The folder that paths in messages are relative to.
        path: The file.

    Raises:
        SpecError: It is missing, is not UTF-8, is no YAML, repeats a key or contains itself.
    """
    name = path.relative_to(root).as_posix()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError([f"{name}:1:1: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SpecError([f"{name}:1:1: is not UTF-8: byte {error.start} is invalid"]) from error
    return parse(text, path, name)


def parse(text: str, path: Path, name: str) -> Document:
    """Make a document of YAML text that was read from somewhere else than the disk.

    Args:
        text: The YAML.
        path: Where the file would be; references are relative to it.
        name: The file's name in messages.

    Raises:
        SpecError: As `load` does.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise SpecError([f"{name}:{place}: is no YAML: {error.problem}"]) from error
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise SpecError([f"{name}:1:1: is no YAML: {reason}"]) from error
    if node is None:
        raise SpecError([f"{name}:1:1: is empty"])
    builder = _Builder(name)
    data = builder.build(node, ())
    if builder.faults:
        raise SpecError(builder.faults)
    return Document(path, name, data, builder.places)


class _Builder:
    """Turns YAML nodes into plain data and notes where each value stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Pointer, Place] = {}
        self.faults: list[str] = []
        self._open: set[int] = set()

    def build(self, node: Node, pointer: Pointer) -> Any:
        """Return the data of a node, noting the places of everything below the pointer."""
        self.places.setdefault(pointer, _place(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._fault(node, "an alias must not contain itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, pointer)
            if isinstance(node, SequenceNode):
                parts: list[Node] = node.value
                return [self.build(part, (*pointer, at)) for at, part in enumerate(parts)]
        finally:
            self._open.discard(id(node))
        raise AssertionError(node)

    def _mapping(self, node: MappingNode, pointer: Pointer) -> dict[str, Any]:
        found: dict[str, Any] = {}
        pairs: list[tuple[Node, Node]] = node.value
        for key, value in pairs:
            if not isinstance(key, ScalarNode):
                self._fault(key, "a key must be plain text")
                continue
            name = str(key.value)
            if name in found:
                self._fault(key, f"the key {name!r} stands here twice")
                continue
            self.places[*pointer, name] = _place(key)
            found[name] = self.build(value, (*pointer, name))
        return found

    def _scalar(self, node: ScalarNode) -> Any:
        text = str(node.value)
        read = SCALARS.get(str(node.tag))
        if read is None:
            return text
        try:
            return read(text)
        except ValueError:
            self._fault(node, f"{text!r} is no number that JSON knows")
            return None

    def _fault(self, node: Node, reason: str) -> None:
        line, column = _place(node)
        self.faults.append(f"{self.name}:{line}:{column}: {reason}")


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
