"""Shapes of single YAML values: each reads a node and describes itself for editors.

One declaration (see `declaration`) gives both the reader and the JSON Schema, so what an editor
completes is what the tool accepts. A shape never stops at a mistake: it reports it, returns the
best value it can, and lets the checks that follow find the rest.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from yaml import Node, ScalarNode

from infra.places.diagnostics import closest, nearest
from infra.places.reading import (
    CANONICAL_INTEGER,
    Pointer,
    Reading,
    kind_of,
    label,
    number_as_read,
    trap,
)
from infra.places.source import TAG

T = TypeVar("T")
Schema = dict[str, Any]

MOST_DIGITS = 20
"""A longer number is out of every bound; Python reads none of more than 4,300 digits."""


class Shape(Generic[T]):
    """What one value may look like; `what` finishes the sentence 'X must be …'."""

    what: str

    def read(self, node: Node, at: Pointer, reading: Reading) -> T:
        """Return the node's value; report everything that is wrong with it."""
        raise NotImplementedError

    def schema(self, definitions: Schema) -> Schema:
        """Return the JSON Schema of this shape; records go into `definitions`."""
        raise NotImplementedError


class Text(Shape[str]):
    """A piece of text, perhaps of a certain form.

    Args:
        what: finishes the sentence 'X must be …'.
        pattern: the whole text has to match it.
        numbers: whether an unquoted number is fine, because its text is unambiguous.
        empty: whether '' is fine.
        mend: turns a text of the wrong form into the one that was probably meant.
    """

    def __init__(
        self,
        what: str = "text",
        pattern: str = "",
        *,
        numbers: bool = False,
        empty: bool = False,
        mend: Callable[[str], str] | None = None,
    ) -> None:
        self.what = what
        self._pattern = re.compile(pattern) if pattern else None
        self._numbers = numbers
        self._empty = empty
        self._mend = mend

    def read(self, node: Node, at: Pointer, reading: Reading) -> str:
        """Return the text exactly as written."""
        if not isinstance(node, ScalarNode):
            reading.error(node, f"{label(at)} must be {self.what}, not {kind_of(node)}")
            return ""
        wrong = self._wrong(node)
        if wrong:
            reading.error(node, f"{label(at)} must be {self.what}{wrong}")
        return str(node.value)

    def read_key(self, node: ScalarNode, reading: Reading) -> None:
        """Report a key of a table that has not this form."""
        wrong = self._wrong(node).removeprefix(f", not '{node.value}'")
        if wrong or not self._matches(node.value):
            reading.error(node, f"'{node.value}' is not {self.what}{wrong}")

    def _wrong(self, node: ScalarNode) -> str:
        """Return the end of the sentence that says why the scalar is not this text, or ''."""
        if not self._matches(node.value) and node.value:
            meant = self._mend(node.value) if self._mend else ""
            hint = f"; did you mean '{meant}'?" if meant and self._matches(meant) else ""
            return f", not '{node.value}'{hint}"
        why = trap(node, numbers=self._numbers)
        if not why and not node.value and not self._empty:
            why = "it is empty"
        return f": {why}" if why else ""

    def _matches(self, text: str) -> bool:
        return self._pattern is None or bool(self._pattern.fullmatch(text))

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return a string schema with the pattern."""
        kind: Schema = {"type": ["string", "number"] if self._numbers else "string"}
        return kind | ({"pattern": f"^(?:{self._pattern.pattern})$"} if self._pattern else {})


class Word(Text):
    """A key that is one of a few words, each with its meaning."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(
            f"one of {', '.join(options)}",
            "|".join(options),
            mend=lambda word: closest(word, options),
        )


class Integer(Shape[int]):
    """A whole number within bounds, written in decimal digits."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum
        self.what = (
            f"a whole number from {minimum} to {maximum}" if minimum < maximum else f"{minimum}"
        )

    def read(self, node: Node, at: Pointer, reading: Reading) -> int:
        """Return the number; 0777 and 22:22 are refused, not converted."""
        raw = node.value if isinstance(node, ScalarNode) else ""
        if not isinstance(node, ScalarNode):
            reading.error(node, f"{label(at)} must be {self.what}, not {kind_of(node)}")
        elif node.style:
            reading.error(node, f"{label(at)} must be {self.what}: leave out the quotes")
        elif not CANONICAL_INTEGER.fullmatch(raw):
            reading.error(node, f"{label(at)} must be {self.what}{_as_read(node)}")
        elif len(raw) > MOST_DIGITS or not self.minimum <= int(raw) <= self.maximum:
            reading.error(node, f"{label(at)} must be {self.what}, not {raw}")
        else:
            return int(raw)
        return self.minimum

    def schema(self, definitions: Schema) -> Schema:  # noqa: ARG002  a leaf defines nothing
        """Return an integer schema with its bounds."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


def _as_read(node: ScalarNode) -> str:
    read = number_as_read(node.value, "int") if node.tag == f"{TAG}int" else ""
    if read:
        return f": YAML reads {node.value} as {read}"
    return f", not '{node.value}'" if node.value else ": it is empty"


class Flag(Shape[bool]):
    """true or false, in those words."""

    what = "true or false"

    def read(self, node: Node, at: Pointer, reading: Reading) -> bool:
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

    def read(self, node: Node, at: Pointer, reading: Reading) -> str:
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
