"""Who may call a handler now: several at a time, or one alone in the whole process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class Turns:
    """The slots of every consumer in a process; each consumer has its own number of them."""

    def __init__(self) -> None:
        self._slots: list[tuple[asyncio.Semaphore, int]] = []
        self._alone = asyncio.Lock()

    def open(self, concurrency: int) -> asyncio.Semaphore:
        """Return the slots of one more consumer; who holds one of them may call a handler."""
        slots = asyncio.Semaphore(concurrency)
        self._slots.append((slots, concurrency))
        return slots

    def close(self, slots: asyncio.Semaphore) -> None:
        """Forget the slots of a consumer that has ended."""
        self._slots = [pair for pair in self._slots if pair[0] is not slots]

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold every slot: what runs has ended, and nothing else begins before this is left.

        Slots are given in the order in which they were asked for, so this waits for those who
        asked before and for nobody who asks for ever.
        """
        async with self._alone, AsyncExitStack() as stack:
            for slots, concurrency in list(self._slots):
                for _ in range(concurrency):
                    await stack.enter_async_context(slots)
            yield
