"""One part of a run that is killed, frozen and doubled: a process, started again and again."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable

from tests.chaos.dying import Order
from tests.conditions import eventually
from tests.processes import Service

POINT_TIMEOUT = 90.0
"""Seconds in which a process under load must pass a point."""
SIGTERM_TIMEOUT = 30.0
AWAKE = 2.0
"""Seconds for which a frozen process goes on when it is woken."""


class Worker:
    """One part that is killed: a process, started again and again, or two of them at once.

    Args:
        name: What the table calls it.
        make: Returns a new, unstarted service.
        module: What it runs.
        points: Where it can be made to die.
        order: The file in which it looks for the order.
        absence: Seconds without a sign of life after which another takes over its work.
    """

    def __init__(  # noqa: PLR0913 — everything that tells one kind of worker from another
        self,
        name: str,
        make: Callable[[], Service],
        module: str,
        points: tuple[str, ...],
        order: Order,
        *,
        absence: float,
    ) -> None:
        self.name = name
        self.points = points
        self.absence = absence
        self.kills: Counter[str] = Counter()
        self.broken: list[str] = []
        self._make = make
        self._module = module
        self._order = order
        self._service = make()
        self._left: list[Service] = []

    @property
    def log(self) -> str:
        """Return what the latest process and those before it on the same service have written."""
        return self._service.log

    def start(self) -> None:
        """Start its process."""
        self._service.start(sys.executable, "-m", self._module)

    def check(self) -> None:
        """Note it where the process has ended although nobody killed it, and start another."""
        if self._service.exit_code is not None:
            code = self._service.exit_code
            self.broken.append(f"{self.name} ended by itself with {code}: {self.log[-800:]}")
            self.start()

    async def kill(self) -> None:
        """Send SIGKILL now, and start it again."""
        self.check()
        await asyncio.to_thread(self._service.kill)
        self.kills[f"{self.name}: SIGKILL at any moment"] += 1
        self.start()

    async def die_at(self, point: str, occurrence: int) -> None:
        """Have it die at a point, and start it again.

        Raises:
            TimeoutError: It never came to that point.
        """
        self.check()
        self._order.give(point, occurrence)
        try:
            code = await asyncio.to_thread(self._service.wait, POINT_TIMEOUT)
        except Exception as error:
            self._order.withdraw()
            raise TimeoutError(f"{self.name} never came to '{point}': {self.log[-800:]}") from error
        self._order.withdraw()
        if code == -9:
            self.kills[f"{self.name}: SIGKILL {point}"] += 1
        else:
            self.broken.append(f"{self.name} ended by itself with {code}: {self.log[-800:]}")
        self.start()

    async def die_until(self, over: Callable[[], bool]) -> None:
        """Start it again whenever it has killed itself, until something is so.

        Raises:
            TimeoutError: it never was.
        """
        async with asyncio.timeout(POINT_TIMEOUT):
            while not await asyncio.to_thread(over):
                if self._service.exit_code == -9:
                    self.kills[f"{self.name}: SIGKILL by an entry"] += 1
                    self.start()
                await asyncio.sleep(0.1)

    async def terminate(self) -> None:
        """Send SIGTERM under load, expect exit code 0, and start it again."""
        self.check()
        await eventually(lambda: self._order.is_working(self._service.pid), POINT_TIMEOUT)
        code = await asyncio.to_thread(self._service.terminate, SIGTERM_TIMEOUT)
        if code != 0:
            self.broken.append(f"{self.name} ended with {code} on SIGTERM: {self.log[-800:]}")
        self.kills[f"{self.name}: SIGTERM under load"] += 1
        self.start()

    async def double(self, seconds: float) -> None:
        """Run a second one beside it for a while, then kill the older one."""
        self.check()
        older = self._start_second()
        await asyncio.sleep(seconds)
        await self._end_older(older)
        self.kills[f"{self.name}: SIGKILL of one of two"] += 1

    async def freeze(self, seconds: float) -> None:
        """Stop it in the middle of its work, let a second one take over, and wake it up."""
        self.check()
        await eventually(lambda: self._order.is_working(self._service.pid), POINT_TIMEOUT)
        os.kill(self._service.pid, signal.SIGSTOP)
        older = self._start_second()
        await asyncio.sleep(seconds)
        os.kill(older.pid, signal.SIGCONT)
        await asyncio.sleep(AWAKE)
        await self._end_older(older)
        self.kills[f"{self.name}: SIGKILL of a frozen one, woken"] += 1

    def _start_second(self) -> Service:
        """Start a second one, which is the one from now on; return the older one."""
        older, self._service = self._service, self._make()
        self.start()
        return older

    async def _end_older(self, older: Service) -> None:
        if older.exit_code is not None:
            self.broken.append(f"{self.name} ended by itself with {older.exit_code}")
        await asyncio.to_thread(older.kill)
        self._left.append(older)

    def stop(self) -> None:
        """End every process of it and drop the logs."""
        for service in (self._service, *self._left):
            service.__exit__(None, None, None)
