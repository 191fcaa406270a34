"""What the picture of the stack is made of: boxes, streams and the arrows between them."""

from dataclasses import dataclass

BOX_WIDTH = 236
HEADER = 52
LINE = 19
PADDING = 14
PILL_WIDTH = 208
PILL_HEIGHT = 38
PILL_GAP = 18


@dataclass(frozen=True, slots=True)
class Box:
    """A service or a part of the infrastructure: its place and its lines of small text."""

    name: str
    kind: str
    style: str
    lines: tuple[str, ...]
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        """Return the height that its lines need."""
        return HEADER + (LINE * len(self.lines) + PADDING if self.lines else 0)


@dataclass(frozen=True, slots=True)
class Pill:
    """One stream."""

    name: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Streams:
    """The Redis that holds the streams, around their pills."""

    name: str
    kind: str
    x: int
    y: int
    width: int
    height: int
    pills: tuple[Pill, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """A curve from one side to another; `style` says what it means."""

    path: str
    style: str
    both: bool = False
