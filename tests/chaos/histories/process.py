"""A process of a history: an event loop of its own that can be frozen, killed, and cut off.

All run in one thread, one at a time and in a fixed order, so that a history happens the same way
again. A process that is not run is frozen: its timers fall due when it is woken, as after SIGSTOP.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

import shared.streams.server.connection as connecting
from tests.chaos.histories.clock import Clock, LoopWithClock

LOST, REFUSED, HELD, LATE = "reply lost", "not sent", "held back", "answered late"
"""What can become of a call: carried out without an answer, not carried out, sent much later, its
answer read much later. The last two stop the process."""


LAG = 0.2
"""Seconds for which a slow process holds back what it acknowledges."""


class Patience(selectors.DefaultSelector):
    """A selector that waits for as long as it is told, whatever it is asked."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready within `seconds`."""
        del timeout
        return super().select(self.seconds)


class _Loop(LoopWithClock):
    """The loop of one process."""

    def __init__(self, clock: Clock, selector: Patience, process: "Process") -> None:
        self.process = process
        super().__init__(clock, selector)


class Process:
    """One process: its loop, whether it runs, and what is to happen to its next calls."""

    def __init__(self, clock: Clock, name: str) -> None:
        self.name = name
        self.frozen = self.dead = self.doomed = self.slow = False
        self.faults: list[str] = []
        self.on_the_wire = 0
        self.wires: list[Wire] = []
        self._held: asyncio.Future[None] | None = None
        self._selector = Patience()
        self.loop: Any = _Loop(clock, self._selector, self)
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Start a task in the process."""
        task: asyncio.Task[Any] = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def run(self) -> bool:
        """Run until it waits for time to pass; return whether it did anything."""
        worked = False
        while not (self.dead or self.frozen):
            if self.doomed:
                self.kill()
                return True
            waits = not self.loop._ready and not self._is_due()
            if waits and not self.on_the_wire:
                return worked
            worked = True
            self._turn(0.05 if waits else 0.0)
        return worked

    def next_timer(self) -> float:
        """Return when its next timer falls due; infinity where none does or it does not run."""
        if self.dead or self.frozen:
            return float("inf")
        return min(
            (handle.when() for handle in self.loop._scheduled if not handle.cancelled()),
            default=float("inf"),
        )

    async def stop(self) -> None:
        """Freeze in the middle of something; it goes on from there."""
        self._held = self.loop.create_future()
        self.frozen = True
        await self._held

    def thaw(self) -> None:
        """Let a frozen process go on: what it was about to send or to read, it does first."""
        self.frozen = False
        if self._held is not None and not self._held.done():
            self._held.set_result(None)
        self._held = None

    def kill(self) -> None:
        """End it as SIGKILL does: from now on it sends nothing, whatever its tasks try."""
        if self.dead:
            return
        self.dead = True
        for attempt in range(400):
            tasks = asyncio.all_tasks(self.loop)
            if not tasks:
                break
            if attempt % 20 == 0:
                for task in tasks:
                    task.cancel()
            self._turn(0.0005)
        else:
            raise AssertionError(f"{self.name} cannot be killed: {asyncio.all_tasks(self.loop)}")
        self._selector.seconds = 0.0
        for wire in self.wires:
            self.loop.run_until_complete(wire.disconnect(nowait=True))
        for _ in range(3):
            self._turn(0.0)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def pass_gate(self) -> str:
        """Take the fault that is meant for the next call, if any."""
        if self.dead:
            raise asyncio.CancelledError
        fault = self.faults.pop(0) if self.faults else ""
        if fault == HELD:
            await self.stop()
        if fault == REFUSED:
            raise RedisConnectionError("cut off")
        return fault

    def _is_due(self) -> bool:
        timers = self.loop._scheduled
        return bool(timers) and timers[0].when() <= self.loop.time()

    def _turn(self, patience: float) -> None:
        self._selector.seconds = patience
        self.loop.stop()
        self.loop.run_forever()


class Wire(Connection):
    """A connection of a process, on which replies can be lost and calls held back."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        loop: Any = asyncio.get_running_loop()
        self._process: Process = loop.process
        self._process.wires.append(self)
        self._fault = ""
        self._blocking = 0.0
        self._command: tuple[Any, ...] = ()

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        """Connect, unless the process is dead."""
        if self._process.dead:
            raise asyncio.CancelledError
        with self._counted():
            await super().connect_check_health(*args, **kwargs)

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        """Send a command; a read that would block for a while asks now and again after it."""
        self._command, self._blocking = args, 0.0
        if args[0] == "XACK" and self._process.slow:
            await asyncio.sleep(LAG)
        if args[0] == "XREADGROUP" and b"BLOCK" in args:
            at = args.index(b"BLOCK")
            self._blocking = int(args[at + 1]) / 1000
            args = (*args[:at], *args[at + 2 :])
            self._command = args
        await super().send_command(*args, **kwargs)

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Write to the socket, unless the process is dead or its next call meets a fault."""
        if self._process.dead:
            raise asyncio.CancelledError
        self._fault = await self._process.pass_gate() if self.is_connected else ""
        with self._counted():
            await super().send_packed_command(*args, **kwargs)

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return a reply, or lose it."""
        with self._counted():
            reply = await super().read_response(*args, **kwargs)
        if self._blocking and not reply:
            seconds, self._blocking = self._blocking, 0.0
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                await self.disconnect(nowait=True)
                raise
            await self.send_command(*self._command)
            return await self.read_response(*args, **kwargs)
        if self._fault == LATE:
            self._fault = ""
            await self._process.stop()
        if self._fault == LOST:
            self._fault = ""
            await self.disconnect(nowait=True)
            raise RedisConnectionError("the reply was lost")
        return reply

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._process.on_the_wire += 1
        try:
            yield
        finally:
            self._process.on_the_wire -= 1


@contextmanager
def over_wires() -> Iterator[None]:
    """Let every connection that production code opens belong to the process that opens it."""
    original = connecting.connection_pool

    def pool(options: dict[str, Any]) -> Any:
        return original({**options, "connection_class": Wire})

    connecting.connection_pool = pool
    try:
        yield
    finally:
        connecting.connection_pool = original
