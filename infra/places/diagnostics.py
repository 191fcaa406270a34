"""What is wrong with a file that somebody wrote, where, and what was probably meant.

InputError                a finished message and the exit code that goes with it
└── InvalidInputError     a file has mistakes; carries every one of them
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

EX_DATAERR = 65
CARET_CONTEXT = 96
SHORTEST_STEM = 3
LONGEST_LIST = 8


class Position(NamedTuple):
    """A place in a text file; line and column count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One mistake (or one warning): a place and a sentence."""

    position: Position
    message: str
    severity: Literal["error", "warning"] = "error"

    def render(self, file: str) -> str:
        """Return the line that editors and CI can follow: `file:LINE:COL: message`."""
        prefix = "warning: " if self.severity == "warning" else ""
        return f"{file}:{self.position.line}:{self.position.column}: {prefix}{self.message}"


class InputError(Exception):
    """An error that its user can mend; `str()` of it is the finished message."""

    exit_code = EX_DATAERR


class InvalidInputError(InputError):
    """A file has mistakes; every one of them is in `diagnostics`."""

    def __init__(self, file: str, lines: Sequence[str], diagnostics: Iterable[Diagnostic]) -> None:
        self.file = file
        self.lines = lines
        self.diagnostics = tuple(sorted(diagnostics))
        super().__init__("\n".join(diagnostic.render(file) for diagnostic in self.diagnostics))

    def pretty(self) -> str:
        """Return the message with the source line and a caret under each mistake."""
        return pretty(self.file, self.lines, self.diagnostics)


class Report:
    """Collects the diagnostics of one run, so that all mistakes are told at once."""

    def __init__(self) -> None:
        self._diagnostics: dict[Diagnostic, None] = {}

    def error(self, position: Position, message: str) -> None:
        """Note a mistake; the same one at the same place is told once."""
        self._diagnostics[Diagnostic(position, message)] = None

    def warning(self, position: Position, message: str) -> None:
        """Note something that works but is probably not meant."""
        self._diagnostics[Diagnostic(position, message, "warning")] = None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Every mistake so far, in file order."""
        return tuple(
            sorted(diagnostic for diagnostic in self._diagnostics if diagnostic.severity == "error")
        )

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """Every warning so far, in file order."""
        return tuple(
            sorted(
                diagnostic for diagnostic in self._diagnostics if diagnostic.severity == "warning"
            )
        )


def pretty(file: str, lines: Sequence[str], diagnostics: Iterable[Diagnostic]) -> str:
    """Return the diagnostics with their source lines and a caret under each place."""
    return "\n".join(
        f"{diagnostic.render(file)}\n{_excerpt(lines, diagnostic.position)}"
        for diagnostic in diagnostics
    )


def _excerpt(lines: Sequence[str], position: Position) -> str:
    if not 1 <= position.line <= len(lines):
        return "    | (end of the file)"
    source = lines[position.line - 1].replace("\t", " ")
    start = max(0, position.column - CARET_CONTEXT)
    shown = source[start : start + 2 * CARET_CONTEXT]
    number = str(position.line).rjust(5)
    return f"{number} | {shown}\n      | {' ' * (position.column - 1 - start)}^"


def closest(word: str, valid: Iterable[str]) -> str:
    """Return the valid name that was probably meant, or ''."""
    from difflib import get_close_matches  # noqa: PLC0415  only a mistake pays for the import

    names = sorted(valid)
    for form in (word, word.lower().replace("-", "_")):
        matches = get_close_matches(form, names, n=1, cutoff=0.6)
        if matches:
            return matches[0]
    stems = [name for name in names if len(name) >= SHORTEST_STEM and word.startswith(name)]
    return max(stems, key=len, default="")


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest valid name, or the valid names, or nothing."""
    names = sorted(valid)
    meant = closest(word, names)
    if meant:
        return f"; did you mean '{meant}'?"
    return f"; valid: {', '.join(names)}" if 0 < len(names) <= LONGEST_LIST else ""
