"""The simulator as a child process, for tests and demos that start and kill it.

async with SimProcess(state=path) as process:
    async with process.client() as sim:
        ...
    await process.kill()
    await process.start()  # the same port, the same state
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Self

from telegram_sim.client.control import SimClient, SimError
from telegram_sim.settings import DEFAULT_HISTORY

LINES_KEPT = 200


class SimProcess:
    """One simulator in a process of its own.

    Args:
        port: Where it listens; 0 takes a free port at the first start and keeps it.
        state: Its state file; None keeps the state in memory, so that a restart forgets it.
        tokens: Bot tokens that it accepts; none accepts any.
        limits: Whether it limits sending as Telegram does.
        history: How many messages it keeps for each chat.
        names: Names that it is served under, besides localhost and IP addresses.
        origins: Origins whose pages may use the Bot API.

    Attributes:
        port: Where it listens, once it was started.
        log: The last lines that it wrote.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        *,
        port: int = 0,
        state: Path | None = None,
        tokens: tuple[str, ...] = (),
        limits: bool = True,
        history: int = DEFAULT_HISTORY,
        names: tuple[str, ...] = (),
        origins: tuple[str, ...] = (),
    ) -> None:
        self.port = port
        self.log: list[str] = []
        self._state = state
        self._tokens = tokens
        self._environ = {"SIM_LOG_FORMAT": "json", "SIM_HISTORY": str(history)}
        self._environ |= {"SIM_NAMES": ",".join(names), "SIM_ORIGINS": ",".join(origins)}
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.kill()

    @property
    def url(self) -> str:
        """Where it listens, `http://127.0.0.1:8081` for example."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running().pid

    def client(self, token: str | None = None) -> SimClient:
        """Return a new client of its control API."""
        return SimClient(self.url, token=token)

    async def start(self) -> None:
        """Start it, and return when it serves.

        Raises:
            SimError: It ended instead; the text has what it wrote.
        """
        arguments = ["--port", str(self.port), *(["--state", str(self._state)] * bool(self._state))]
        for token in self._tokens:
            arguments += ["--token", token]
        if not self._limits:
            arguments.append("--no-limits")
        environ = {name: value for name, value in os.environ.items() if name[:4] != "SIM_"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "telegram_sim", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environ | self._environ,
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        while line := (await process.stdout.readline()).decode():
            self._keep(line)
            if '"listening"' in line:
                self.port = json.loads(line)["port"]
                self._reader = asyncio.create_task(self._read(process.stdout))
                return
        await process.wait()
        raise SimError(f"the simulator did not start: {''.join(self.log).strip()}")

    async def stop(self) -> int:
        """End it as an operator would, with SIGTERM, and return its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it without a warning, with SIGKILL; nothing happens where it does not run."""
        await self._end(signal.SIGKILL)

    async def _end(self, signal_: signal.Signals) -> int:
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal_)
        code = await process.wait()
        if self._reader is not None:
            await self._reader
        return code

    async def _read(self, output: asyncio.StreamReader) -> None:
        while line := (await output.readline()).decode():
            self._keep(line)

    def _keep(self, line: str) -> None:
        self.log = [*self.log[-LINES_KEPT:], line]

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise SimError("the simulator was not started")
        return self._process
