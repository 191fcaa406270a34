"""Specs as plain data whose every value remembers its line and column."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.places.diagnostics import Diagnostic, InputError, InvalidInputError, Report
from infra.places.reading import Pointer, Reading, plain
from infra.places.source import YAML_1_2, UnreadableError, read_text
from infra.places.source import parse as nodes_of


class SpecError(InputError):
    """Specs that cannot be used; the text is every fault, one a line: `file:line:col: reason`."""

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
        reading: Where each value stood.
    """

    path: Path
    name: str
    data: Any
    reading: Reading = field(repr=False)

    def fault(self, pointer: Pointer, reason: str) -> str:
        """Return the message for a fault at the pointer, or at the nearest place above it."""
        return Diagnostic(self.reading.nearest(*pointer), reason).render(self.name)


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
        text = read_text(path, name)
    except UnreadableError as error:
        raise SpecError([f"{name}:1:1: cannot be read: {error.reason}"]) from error
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
        source = nodes_of(text, name, YAML_1_2)
        if source.root is None:
            raise SpecError([f"{name}:1:1: is empty"])
        reading = Reading(Report())
        data = plain(source.root, reading)
        if reading.report.errors:
            raise source.invalid(reading.report)
    except InvalidInputError as error:
        raise SpecError(str(error).splitlines()) from error
    return Document(path, name, data, reading)
