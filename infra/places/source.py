"""Read YAML into nodes that know their place.

PyYAML's C parser is used for its speed and its exact positions. Its nodes are kept as they are:
what a plain scalar means is decided by the shape that reads it (see `shapes`), so that `on`,
`22:22` and `0777` are told apart from the text their author meant.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from infra.places.diagnostics import InvalidStackError, Position, Report, StackError

EX_NOINPUT = 66
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnreadableError(StackError):
    """The file is missing, is no file, or is not UTF-8 text."""

    exit_code = EX_NOINPUT


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one YAML file and its root node (None for an empty file)."""

    file: str
    lines: tuple[str, ...]
    root: yaml.Node | None

    def invalid(self, report: Report) -> InvalidStackError:
        """Return the error that holds every mistake in the report."""
        return InvalidStackError(self.file, self.lines, report.errors)


def position(mark: yaml.Mark) -> Position:
    """Return the 1-based position of a parser's mark."""
    return Position(mark.line + 1, mark.column + 1)


def read(path: Path, name: str) -> Source:
    """Return the file's nodes; `name` is what messages call the file.

    Raises:
        UnreadableError: there is no such file or it is not UTF-8 text.
        InvalidStackError: it is not YAML; the message has the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{name}: not UTF-8 text (byte {error.start})") from error
    return parse(text, name)


def parse(text: str, name: str) -> Source:
    """Return the text's nodes; the same promises as `read`, without a file."""
    lines = tuple(text.splitlines())
    report = Report()
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        report.error(*_syntax(error, lines))
        raise InvalidStackError(name, lines, report.errors) from error
    except yaml.YAMLError as error:
        place = _unprintable(text)
        report.error(place, f"not YAML: {str(error).splitlines()[0]}")
        raise InvalidStackError(name, lines, report.errors) from error
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
