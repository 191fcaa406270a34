"""Who wants to know that code below it waits for Redis to take an event."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

Observer = Callable[[int], None]

publishing: ContextVar[Observer | None] = ContextVar("publishing", default=None)
"""Called with 1 when a publish begins to wait for its outcome, and with -1 when it has it.

It holds for what is published in the context in which it is set, and in tasks made there.
"""


def observed(outcome: Awaitable[T]) -> Awaitable[T]:
    """Return what waits for an outcome, and tells the context's observer, if there is one."""
    observer = publishing.get()
    return outcome if observer is None else _observed(observer, outcome)


async def _observed(observer: Observer, outcome: Awaitable[T]) -> T:
    observer(1)
    try:
        return await outcome
    finally:
        observer(-1)
