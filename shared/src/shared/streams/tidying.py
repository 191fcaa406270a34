"""Trimming streams, and forgetting consumers that are gone: by the processes that publish.

Readers may neither trim nor write. A round is one script call, and any number of processes may
have theirs: what one has done, the next finds done.
"""

import asyncio
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING

import structlog

from shared.keys import buried_of, dead_letters_of, replayed_of
from shared.process import check_cancelled, describe, jitter
from shared.streams.retry import UNKNOWN
from shared.streams.server.memory import PRESSURE, memory_of
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

EVERY = 300.0
"""Seconds between two rounds of trimming by age."""
LOOK_EVERY = 10.0
"""Seconds between two looks at the server's memory; where a write was refused for want of it, room
is made at once."""
ROUND_TIMEOUT = 5.0
CONSUMER_GONE_AFTER = 3600.0
"""Idle seconds after which a consumer that holds nothing is forgotten."""


class Tidier:
    """Keeps the streams tidy that a process publishes to, from the first time it hears of each."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._script = client.register_script(load_script("tidy"))
        self._retention: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def keep(self, stream: str, retention: float) -> None:
        """Trim a stream from now on: what is older than `retention` seconds, or early if need be.

        "Early" is where the server's memory runs short: then everything goes that all groups have
        finished with.
        """
        if stream in self._retention:
            return
        self._retention[stream] = retention
        self._due[stream] = 0.0
        self._new.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="tidy")

    async def make_room(self) -> None:
        """Trim now what every group has finished with; returns when that is done or cannot be."""
        try:
            async with asyncio.timeout(ROUND_TIMEOUT):
                for stream in list(self._retention):
                    await self._trim(stream, 0.0)
        except UNKNOWN as error:
            log.debug("tidying put off", reason=describe(error))

    async def tidy(self, stream: str, retention: float) -> tuple[int, int]:
        """Trim entries older than `retention` seconds that all groups have finished with.

        Returns:
            How many entries went, and how many consumers that are gone were forgotten.
        """
        bound = f"{int((time() - retention) * 1000)}-0"
        keys = [stream, dead_letters_of(stream), replayed_of(stream), buried_of(stream)]
        trimmed, forgotten = await self._script(keys, [bound, int(CONSUMER_GONE_AFTER * 1000)])
        return int(trimmed), int(forgotten)

    async def close(self) -> None:
        """Tidy no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._new.clear()
            try:
                await self._round()
            except UNKNOWN as error:
                log.debug("tidying put off", reason=describe(error))
            check_cancelled()  # before the wait: who closes would wait for its end
            with suppress(TimeoutError):
                await asyncio.wait_for(self._new.wait(), LOOK_EVERY * jitter())

    async def _round(self) -> None:
        """Trim each stream whose time has come, or all of them where memory runs short."""
        short = (await memory_of(self._client)).share >= PRESSURE
        for stream, retention in list(self._retention.items()):
            if not short and monotonic() < self._due[stream]:
                continue
            await self._trim(stream, 0.0 if short else retention)

    async def _trim(self, stream: str, retention: float) -> None:
        trimmed, forgotten = await self.tidy(stream, retention)
        self._due[stream] = monotonic() + EVERY * jitter()
        if trimmed or forgotten:
            log.info("stream tidied", stream=stream, trimmed=trimmed, consumers=forgotten)
