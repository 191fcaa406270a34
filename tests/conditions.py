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
        value = await asyncio.to_thread(look)
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s there is still {value!r}")
        await asyncio.sleep(0.1)
