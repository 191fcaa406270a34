"""Waiting for what happens in other processes."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], T], seconds: float = 30) -> T:
    """Return the first true thing that `look` returns; it runs in a thread and may block.

    Raises:
        AssertionError: nothing true in time; shows what was there instead.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(look)
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s there is still {found!r}")
        await asyncio.sleep(0.1)
