"""A terminal, as a program at it and the person before it see it."""

import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 120


@dataclass
class Terminal:
    """What a person at a program's terminal sees and types."""

    program: subprocess.Popen[str]
    _controller: int
    _shown: str = field(default="", repr=False)

    def write(self, line: str) -> None:
        """Type a line and Enter."""
        os.write(self._controller, f"{line}\r".encode())

    def read_until(self, text: str) -> str:
        """Read until a text is shown that was not read before; return all up to it."""
        while text not in self._shown:
            ready, _, _ = select.select([self._controller], [], [], PATIENCE)
            assert ready, f"{text!r} is not in: {self._shown}"
            self._shown += CONTROL.sub(
                "", os.read(self._controller, 65536).decode(errors="replace")
            )
        before, _, self._shown = self._shown.partition(text)
        return before + text


@contextmanager
def opened() -> Iterator[tuple[int, int]]:
    """Give the two ends of a terminal: what a person has, what a program has."""
    controller, terminal = pty.openpty()
    try:
        yield controller, terminal
    finally:
        os.close(controller)
        os.close(terminal)
