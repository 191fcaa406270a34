"""One clock for the server and every process of a history; it can be set forward by days.

The server is a real one whose clock libfaketime shifts; the production modules in this process read
the same clock. Nothing waits for real time, and no lifetime is shortened.
"""

import asyncio
import importlib
import os
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libfaketime

import shared.streams
from tests.servers import RedisServer

SLACK = 0.02
"""Seconds by which the server's clock may lag behind."""


class Clock:
    """Real time and an offset that only grows."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        self._offset = 0.0
        self._reported = -1.0
        self._server: Any = None
        self._tell()

    def time(self) -> float:
        """Return the seconds since 1970."""
        return time.time() + self._offset

    def monotonic(self) -> float:
        """Return seconds on the scale of the event loops."""
        return time.monotonic() + self._offset

    def forward(self, moment: float) -> None:
        """Set the clock to a moment of `monotonic`, unless that is past."""
        self._offset = max(self._offset, moment - time.monotonic())
        if self._offset - self._reported > SLACK:
            self._tell()

    def follow(self, server: Any) -> None:
        """Name the client of the server that the clock is set for."""
        self._server = server
        self._reported = -1.0
        self.forward(0.0)

    def _tell(self) -> None:
        """Shift the server's clock and wait until it has noticed."""
        self._reported = self._offset
        os.pwrite(self._file, f"+{self._offset:020.3f}\n".encode(), 0)
        if self._server is None:
            return
        for _ in range(2000):
            seconds, microseconds = self._server.time()
            if seconds + microseconds / 1e6 >= self.time() - SLACK:
                return
        raise AssertionError("the server's clock does not follow")


class ServerWithClock(RedisServer):
    """A real server whose clock the history sets."""

    def __init__(self, *options: str) -> None:
        super().__init__("--hz", "500", *options)
        self.file = Path(self._folder.name, "offset")
        self.clock = Clock(self.file)

    def start(self) -> None:
        """Start it with the clock as it stands."""
        with shifted(self.file):
            super().start()
        self.clock.follow(self.client())

    def kill(self) -> None:
        """Send SIGKILL; the clock goes on."""
        if self.clock._server is not None:
            self.clock._server.close()
            self.clock._server = None
        super().kill()


@contextmanager
def shifted(file: Path) -> Iterator[None]:
    """Let programs that are started now read their clock through libfaketime."""
    library = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
    shift = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    before = dict(os.environ)
    os.environ.update(shift)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def production_reads(clock: Clock) -> Iterator[None]:
    """Let the modules of `shared.streams` read this clock."""
    for module in pkgutil.walk_packages(shared.streams.__path__, "shared.streams."):
        importlib.import_module(module.name)
    replaced: list[tuple[Any, str, Any]] = []
    for name, loaded in list(sys.modules.items()):
        if not name.startswith("shared."):
            continue
        for attribute, by in (("time", clock.time), ("monotonic", clock.monotonic)):
            if getattr(loaded, attribute, None) is getattr(time, attribute):
                replaced.append((loaded, attribute, getattr(loaded, attribute)))
                setattr(loaded, attribute, by)
    try:
        yield
    finally:
        for changed, attribute, original in replaced:
            setattr(changed, attribute, original)


class LoopWithClock(asyncio.SelectorEventLoop):
    """An event loop whose timers follow the clock of the history."""

    def __init__(self, clock: Clock, selector: Any) -> None:
        self._history = clock
        super().__init__(selector)

    def time(self) -> float:
        """Return the moment of the history."""
        return self._history.monotonic()
