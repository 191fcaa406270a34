"""What happens in a stack that is worth being shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """A message, or what a message was changed to.

    Attributes:
        who: The first name of who wrote it; `bot` for the bot.
        text: Its text, or what stands for it.
        number: Chat and number of the message.
        bot: Whether the bot wrote it.
        buttons: The texts of the buttons under it.
        edited: Whether it was there before.
    """

    who: str
    text: str
    number: tuple[int, int]
    bot: bool
    buttons: tuple[str, ...] = ()
    edited: bool = False


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry of a stream, as XREAD returns it; equal to itself alone."""

    stream: str
    id: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Handled:
    """A consumer group has acknowledged an entry."""

    entry: Entry
    group: str


@dataclass(frozen=True)
class Row:
    """A row that was not there before."""

    table: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Notice:
    """Something about the stack itself, in one line; `good` where nothing has to be done."""

    text: str
    good: bool = False


Happening = Said | Entry | Handled | Row | Notice
Tell = Callable[[Happening], None]
"""Shows a happening."""


class StepFailedError(Exception):
    """What the demo cannot do without did not happen; with what the process at fault logged."""

    def __init__(self, step: str, reason: str, process: str, log: list[str]) -> None:
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.process, self.log = step, reason, process, log
