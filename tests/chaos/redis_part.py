"""Redis in the middle of a run, the proxies before it, and the faults that they meet."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from typing import Any, Self

from shared.generated.events import command_received
from shared.streams import EventStream
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.errors import NO_ROOM
from tests.chaos import torn
from tests.chaos.points import PUBLISHES
from tests.chaos.worker import POINT_TIMEOUT
from tests.proxy import RedisProxy
from tests.servers import RedisServer

GROUP = "backend"
OUT_OF_MEMORY = "redis: out of memory"
FULL = "redis: full until senders were refused"
SEVERAL = 5
"""Events of a batch that is worth tearing: a tear within the first one leaves none to double."""
HEADROOM = 200_000
"""Bytes that a flood has left to fill."""


class RedisPart:
    """A server, started again and again, and a proxy for each end of the stream.

    Attributes:
        server: The server.
        proxies: What stands before it, for the sender and for the receiver.
        struck: How often each fault has struck it.
    """

    def __init__(self, *, guarded: bool) -> None:
        self.server = RedisServer(engine="redis", guarded=guarded)
        self.proxies: dict[str, RedisProxy] = {}
        self.struck: Counter[str] = Counter()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self.server)
        # What is full trims what every group has finished with: not what the ledger has to read.
        await self.ask("XGROUP", "CREATE", command_received.name, "ledger", "0", "MKSTREAM")
        for end in ("sender", "receiver"):
            proxy = RedisProxy(self.server.port)
            self.proxies[end] = await self._stack.enter_async_context(proxy)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def kill(self, down: float) -> None:
        """Send SIGKILL to it and start it again after a while."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(down)
        await asyncio.to_thread(self.server.start)
        self.struck["redis: SIGKILL"] += 1

    async def flood(self, _: random.Random) -> None:
        """Let the load fill Redis, until a command was refused for want of room; then free it.

        Raises:
            TimeoutError: nothing was refused.
        """

        def refused() -> int:
            return sum(NO_ROOM in letter.reason for letter in self.letters())

        before = await asyncio.to_thread(refused)
        used = await asyncio.to_thread(self.do, lambda c: c.info("memory")["used_memory"])
        await self.ask("CONFIG", "SET", "maxmemory", used + HEADROOM)
        try:
            async with asyncio.timeout(POINT_TIMEOUT):
                while await asyncio.to_thread(refused) == before:
                    await asyncio.sleep(0.2)
        finally:
            await self.ask("CONFIG", "SET", "maxmemory", 0)
        self.struck[FULL] += 1

    async def tear_write(self, chance: random.Random) -> None:
        """Kill Redis in the middle of writing a batch; start, have it published again, and kill.

        Raises:
            TimeoutError: no batch came by, or it was not published again.
        """
        async with asyncio.timeout(POINT_TIMEOUT):
            while not (whole := await self._kill_in_a_write(chance)):
                self.restore()
                await self._published(self.server.append_only_file.stat().st_size)
            self.restore()
            await asyncio.to_thread(self.server.start)
            self.struck["redis: SIGKILL in a write"] += 1
            await self._published(whole)
        await self.kill(0.0)

    async def _kill_in_a_write(self, chance: random.Random) -> int:
        """Kill Redis and tear the next batch; return what is whole, 0 where it wrote too little.

        Nobody has seen an answer to what is torn: replies are held back from before the write.
        """
        written = 0

        def note() -> None:
            nonlocal written
            written = self.server.append_only_file.stat().st_size

        self.proxies["receiver"].mute()
        await self.proxies["sender"].mute_from(PUBLISHES, note).done.wait()
        file = self.server.append_only_file
        if not torn.is_written(file, written, SEVERAL):  # or published before, or no script yet
            return 0
        await asyncio.to_thread(self.server.kill)
        return torn.tear(file, written, chance)

    async def _published(self, position: int) -> None:
        """Wait until a batch is written behind a position of the file."""
        while not torn.is_written(self.server.append_only_file, position):
            await asyncio.sleep(0.05)

    def restore(self) -> None:
        """Have both proxies pass everything on again."""
        for proxy in self.proxies.values():
            proxy.restore()

    async def ask(self, *command: Any) -> Any:
        """Send one command, past the proxies."""
        return await asyncio.to_thread(lambda: self.do(lambda c: c.execute_command(*command)))

    def do(self, ask: Callable[[Any], Any]) -> Any:
        """Return what a client gets, past the proxies; blocks."""
        with closing(self.server.client()) as client:
            return ask(client)

    def group(self) -> tuple[int | None, int]:
        """Return the lag and the pending count of the consumer group; no lag without a group."""
        groups = self.do(lambda c: c.xinfo_groups(command_received.name))
        for group in groups:
            if group["name"] == GROUP.encode():
                return group["lag"], group["pending"]
        return None, 0

    def letters(self, stream: EventStream[Any] = command_received) -> list[DeadLetter]:
        """Return a stream's dead letters."""
        return [
            DeadLetter.parse(fields)
            for _, fields in self.do(lambda c: c.xrange(stream.dead_letters))
        ]
