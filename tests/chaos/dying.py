"""How a process of a run is made to die at a named point, without a hook in its own code.

The driver writes `point occurrence` into the file that CHAOS_ORDER names. The process wraps its
functions from outside; whenever one of them passes a point, the file is looked at, and at the
ordered passage the process sends itself SIGKILL: nothing is flushed, closed or said.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

ORDER = "CHAOS_ORDER"

Async = Callable[..., Awaitable[Any]]


class Order:
    """The file with the order of when to die; the driver writes it, the process carries it out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def give(self, point: str, occurrence: int) -> None:
        """Order the death at so many passages of a point from now on."""
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{point} {occurrence}", encoding="utf-8")
        draft.replace(self.path)

    def withdraw(self) -> None:
        """Let whoever lives live on."""
        self.path.unlink(missing_ok=True)

    def is_working(self, pid: int) -> bool:
        """Whether this process has come to any of its points."""
        return self._alive.exists() and self._alive.read_text() == str(pid)

    @property
    def _alive(self) -> Path:
        return self.path.with_suffix(".working")

    def pass_point(self, point: str) -> None:
        """Die here, where this is the point and the passage that was ordered."""
        if not self.is_working(os.getpid()):
            self._alive.write_text(str(os.getpid()))
        try:
            ordered, _, occurrence = self.path.read_text(encoding="utf-8").rpartition(" ")
        except FileNotFoundError:
            return
        if ordered != point:
            return
        if int(occurrence) > 1:
            self.give(point, int(occurrence) - 1)
            return
        self.withdraw()
        os.kill(os.getpid(), signal.SIGKILL)


def pass_point(point: str) -> None:
    """Die here, where that was ordered of this process."""
    Order(Path(os.environ[ORDER])).pass_point(point)


def before(function: Async, point: str) -> Async:
    """Return the function with a point before each call."""

    @wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        pass_point(point)
        return await function(*args, **kwargs)

    return wrapped


def after(function: Async, point: str) -> Async:
    """Return the function with a point after each call that returns something."""

    @wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = await function(*args, **kwargs)
        if result is None or result:
            pass_point(point)
        return result

    return wrapped
