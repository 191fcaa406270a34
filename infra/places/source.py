"""Read YAML into nodes that know their place.

PyYAML's C parser is used for its speed and its exact positions. Its nodes are kept as they are:
what a plain scalar means is decided by who reads it, so that `on`, `22:22` and `0777` are told
apart from the text their author meant.

YAML_1_1   the types that PyYAML and most tools of containers give to plain scalars
YAML_1_2   the core schema (https://yaml.org/spec/1.2.2/#103-core-schema), JSON's types only
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.places.diagnostics import InputError, InvalidInputError, Position, Report

EX_NOINPUT = 66
TAG = "tag:yaml.org,2002:"
YAML_1_1: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
YAML_1_2: Any = type("CoreLoader", (YAML_1_1,), {"yaml_implicit_resolvers": {}})
CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for kind, (form, first) in CORE.items():
    YAML_1_2.add_implicit_resolver(f"{TAG}{kind}", re.compile(f"(?:{form})\\Z"), first)


class UnreadableError(InputError):
    """The file is missing, is no file, or is not UTF-8 text; `reason` says which."""

    exit_code = EX_NOINPUT

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one YAML file and its root node (None for an empty file)."""

    file: str
    lines: tuple[str, ...]
    root: yaml.Node | None

    def invalid(self, report: Report) -> InvalidInputError:
        """Return the error that holds every mistake in the report."""
        return InvalidInputError(self.file, self.lines, report.errors)


def position(mark: yaml.Mark) -> Position:
    """Return the 1-based position of a parser's mark."""
    return Position(mark.line + 1, mark.column + 1)


def read(path: Path, name: str) -> Source:
    """Return the file's nodes; `name` is what messages call the file.

    Raises:
        UnreadableError: there is no such file or it is not UTF-8 text.
        InvalidInputError: it is not YAML; the message has the place.
    """
    return parse(read_text(path, name), name)


def read_text(path: Path, name: str) -> str:
    """Return the file's text; `UnreadableError` as `read` raises it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableError(name, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UnreadableError(name, f"not UTF-8 text (byte {error.start})") from error


def parse(text: str, name: str, yaml_version: Any = YAML_1_1) -> Source:
    """Return the text's nodes; the same promises as `read`, without a file."""
    lines = tuple(text.splitlines())
    report = Report()
    try:
        root = yaml.compose(text, Loader=yaml_version)
    except yaml.MarkedYAMLError as error:
        report.error(*_syntax(error, lines))
        raise InvalidInputError(name, lines, report.errors) from error
    except yaml.YAMLError as error:
        place = _unprintable(text)
        report.error(place, f"not YAML: {str(error).splitlines()[0]}")
        raise InvalidInputError(name, lines, report.errors) from error
    return Source(name, lines, root)


PROBLEMS = {
    "mapping values are not allowed in this context": (
        "a second ': ' in this line; put a text that has one in quotes"
    ),
    "found undefined alias": "an alias (*name) without its anchor (&name) before it",
    "but found another document": "a second document ('---'); the file has one",
    "did not find expected key": "this line's indentation fits no line above it",
    "found character that cannot start any token": "this character needs quotes around the text",
}


def _syntax(error: yaml.MarkedYAMLError, lines: tuple[str, ...]) -> tuple[Position, str]:
    mark = error.problem_mark or error.context_mark
    place = position(mark) if mark else Position(1, 1)
    said = str(error.problem or error.context or error)
    problem = PROBLEMS.get(said, said)
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: place.column]:
        problem = "a tab; YAML indents with spaces only"
    elif said not in PROBLEMS and error.context and error.context_mark:
        problem = f"{problem} ({error.context} that starts on line {error.context_mark.line + 1})"
    return place, f"not YAML: {problem}"


def _unprintable(text: str) -> Position:
    for number, line in enumerate(text.splitlines(), start=1):
        for column, character in enumerate(line, start=1):
            if not character.isprintable() and character not in "\t\ufeff":
                return Position(number, column)
    return Position(1, 1)
