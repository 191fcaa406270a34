"""A terminal that is written to while its last line tells how things stand."""

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

NO_WRAP, WRAP, CLEAR = "\x1b[?7l", "\x1b[?7h", "\r\x1b[K"
ENDING = {b"\x03", b"\x04", b"q"}
"""Ctrl-C, Ctrl-D and q."""


class Screen:
    """Where lines go; below them the status, where there is a terminal.

    Args:
        output: what is written to.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self.live = output.isatty()
        self.colours = self.live and not os.environ.get("NO_COLOR")
        self._status = ""

    def line(self, text: str) -> None:
        """Write a line above the status."""
        self._write(f"{CLEAR}{text}\n{self._below()}" if self.live else f"{text}\n")

    def status(self, text: str) -> None:
        """Say anew how things stand; without a terminal nothing is said."""
        self._status = text
        if self.live:
            self._write(f"{CLEAR}{self._below()}")

    def close(self) -> None:
        """Leave the last status where it stands, and the next line free."""
        if self.live and self._status:
            self._write("\n")

    def _below(self) -> str:
        """Return the status, cut by the terminal itself where that is narrow."""
        return f"{NO_WRAP}{self._status}{WRAP}" if self._status else ""

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


@contextmanager
def keys(ended: asyncio.Event) -> Iterator[None]:
    """Set an event when a person at the terminal presses Ctrl-C, Ctrl-D or q.

    Meanwhile Ctrl-C is a key and no signal, which would reach `make` as well and have it end with
    an error. Without a terminal nothing is done.
    """
    if not sys.stdin.isatty():
        yield
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    mine = termios.tcgetattr(file)
    mine[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if os.read(file, 1) in ENDING | {b""}:
            ended.set()

    termios.tcsetattr(file, termios.TCSADRAIN, mine)
    loop.add_reader(file, pressed)
    try:
        yield
    finally:
        loop.remove_reader(file)
        termios.tcsetattr(file, termios.TCSADRAIN, before)
