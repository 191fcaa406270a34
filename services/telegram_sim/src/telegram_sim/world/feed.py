"""What happens in the chats, told to whoever watches: the chat page, for one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_BEHIND = 1000


class Feed:
    """Hands every event to every watcher; a watcher who falls too far behind is told to reload."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[bytes | None]] = set()
        self._closed = False

    @property
    def watched(self) -> bool:
        """Whether anybody watches, so that an event is worth being written."""
        return bool(self._watchers)

    def publish(self, event: bytes) -> None:
        """Tell every watcher of an event."""
        for watcher in self._watchers:
            if watcher.qsize() < MOST_BEHIND:
                watcher.put_nowait(event)
            elif watcher.qsize() == MOST_BEHIND:
                watcher.put_nowait(b'{"type":"reload"}')

    def close(self) -> None:
        """End the watching of everybody."""
        self._closed = True
        for watcher in self._watchers:
            watcher.put_nowait(None)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[asyncio.Queue[bytes | None]]:
        """Give a queue of events; None in it means that the watching is over."""
        watcher: asyncio.Queue[bytes | None] = asyncio.Queue()
        if self._closed:
            watcher.put_nowait(None)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
