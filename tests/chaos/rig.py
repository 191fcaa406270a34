"""The parts of a run as processes: who sends, what lies between, who receives.

The same faults and the same claims go to every rig: the streams runtime alone, and the whole path
from Telegram to the table.
"""

import asyncio
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.generated.events import command_received, telegram_update
from shared.streams import EventStream, decode
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.errors import NO_ROOM
from tests.chaos import torn
from tests.chaos.dying import ORDER, Order
from tests.chaos.ledger import Found, Sent
from tests.chaos.points import DEADLY, PUBLISHES
from tests.conditions import eventually
from tests.processes import Service
from tests.proxy import RedisProxy
from tests.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
GROUP = "backend"
POINT_TIMEOUT = 90.0
"""Seconds in which a process under load must pass a point."""
SIGTERM_TIMEOUT = 30.0
OUT_OF_MEMORY = "redis: out of memory"
FULL = "redis: full until senders were refused"
HEADROOM = 200_000
"""Bytes that a flood has left to fill."""
NOBODY_ELSE = 4999
"""A user of whom the load sends nothing."""
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


class Rig(ABC):
    """Everything that one run starts; `async with` starts it and takes it down.

    Attributes:
        redis: The server.
        proxies: What stands before it, for the sender and for the receiver.
        sender: Who publishes: the bot, or the publisher alone.
        receiver: Who stores: the backend, or the consumer alone.
        sent: Every command that was handed over, in order.
    """

    def __init__(self, without: str = "") -> None:
        self.redis = RedisServer(engine="redis", guarded=without != "the guard of the file")
        self.sent: list[Sent] = []
        self.replayed: list[str] = []
        self.odd: list[Sent] = []
        self.restarts: Counter[str] = Counter()
        self.folder = Path()
        self.without = {"CHAOS_WITHOUT": without} if without else {}
        self.sender: Worker
        self.receiver: Worker
        self.proxies: dict[str, RedisProxy] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_context
        self.folder = Path(enter(tempfile.TemporaryDirectory(prefix="herald-chaos-")))
        enter(self.redis)
        # What is full trims what every group has finished with: not what the ledger has to read.
        await self.ask_redis("XGROUP", "CREATE", command_received.name, "ledger", "0", "MKSTREAM")
        for end in ("sender", "receiver"):
            proxy = RedisProxy(self.redis.port)
            self.proxies[end] = await self._stack.enter_async_context(proxy)
        await self.set_up()
        for worker in (self.sender, self.receiver):
            self._stack.callback(worker.stop)
            worker.start()
        await asyncio.to_thread(self.wait_until_stored)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for worker in (self.sender, self.receiver):
                sys.stderr.write(f"--- {worker.name} ---\n{worker.log[-3000:]}\n")
        await self._stack.aclose()

    # What a rig is made of

    @abstractmethod
    async def set_up(self) -> None:
        """Make the workers, and start what is killed by nobody but the rig."""

    @abstractmethod
    async def hand_over(self, texts: list[tuple[int, str]]) -> None:
        """Hand over commands, each by a user; they are durable with the source on return."""

    @abstractmethod
    async def hand_over_bad(self, user: int, text: str) -> None:
        """Hand over a command that can never be published."""

    async def hand_over_odd(self, user: int, text: str) -> None:
        """Hand over what cannot even be parsed, where there is such a thing."""
        del user, text

    async def told_of_odd(self) -> frozenset[int]:
        """Return the users who were told that what they sent is kept."""
        return frozenset()

    @abstractmethod
    async def unconfirmed(self) -> int:
        """Return how many commands the source would hand over again."""

    @abstractmethod
    async def told(self, users: set[int]) -> frozenset[int] | None:
        """Return those of the users who were told of a failure; None where nobody can be."""

    @property
    @abstractmethod
    def table(self) -> Path:
        """Return the SQLite file with the table."""

    def variables(self, name: str, end: str) -> tuple[Order, dict[str, str]]:
        """Return the order and the variables of a worker at one end of the stream."""
        order = Order(self.folder / f"{name}.order")
        return order, {
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self.proxies[end].url,
            ORDER: str(order.path),
            **self.without,
        }

    # Faults of Redis itself

    async def kill_redis(self, down: float) -> None:
        """Send SIGKILL to Redis and start it again after a while."""
        await asyncio.to_thread(self.redis.kill)
        await asyncio.sleep(down)
        await asyncio.to_thread(self.redis.start)
        self.restarts["redis: SIGKILL"] += 1

    async def flood(self, _: random.Random) -> None:
        """Let the load fill Redis, until a command was refused for want of room; then free it.

        Raises:
            TimeoutError: nothing was refused.
        """

        def refused() -> int:
            return sum(NO_ROOM in letter.reason for letter in self.letters())

        before = await asyncio.to_thread(refused)
        used = await asyncio.to_thread(self._ask, lambda c: c.info("memory")["used_memory"])
        await self.ask_redis("CONFIG", "SET", "maxmemory", used + HEADROOM)
        try:
            async with asyncio.timeout(POINT_TIMEOUT):
                while await asyncio.to_thread(refused) == before:
                    await asyncio.sleep(0.2)
        finally:
            await self.ask_redis("CONFIG", "SET", "maxmemory", 0)
        self.restarts[FULL] += 1

    async def be_killed_by_an_entry(self, _: random.Random) -> None:
        """Hand over a command that kills its handler, until the group gives it up.

        Raises:
            TimeoutError: it was not given up.
        """
        text = f"/command {len(self.sent)} {DEADLY}"
        await self.hand_over([(NOBODY_ELSE, text)])
        event_id = next(s.event_id for s in reversed(self.sent) if s.text == text)

        def given_up() -> bool:
            return event_id in {letter.event_id for letter in self.letters() if letter.group}

        await self.receiver.die_until(given_up)

    async def tear_write(self, chance: random.Random) -> None:
        """Kill Redis in the middle of writing a batch; start, have it published again, and kill.

        Raises:
            TimeoutError: no batch came by, or it was not published again.
        """
        async with asyncio.timeout(POINT_TIMEOUT):
            while not (whole := await self._kill_in_a_write(chance)):
                self._restore()
                await self._published(self.redis.append_only_file.stat().st_size)
            self._restore()
            await asyncio.to_thread(self.redis.start)
            self.restarts["redis: SIGKILL in a write"] += 1
            await self._published(whole)
        await self.kill_redis(0.0)

    async def _kill_in_a_write(self, chance: random.Random) -> int:
        """Kill Redis and tear the next batch; return what is whole, 0 where it wrote nothing.

        Nobody has seen an answer to what is torn: replies are held back from before the write.
        """
        written = 0

        def note() -> None:
            nonlocal written
            written = self.redis.append_only_file.stat().st_size

        self.proxies["receiver"].mute()
        await self.proxies["sender"].mute_from(PUBLISHES, note).done.wait()
        file = self.redis.append_only_file
        if not torn.is_written(file, written):  # it was published before, or the script was unknown
            return 0
        await asyncio.to_thread(self.redis.kill)
        return torn.tear(file, written, chance)

    async def _published(self, position: int) -> None:
        """Wait until a batch is written behind a position of the file."""
        while not torn.is_written(self.redis.append_only_file, position):
            await asyncio.sleep(0.05)

    def _restore(self) -> None:
        for proxy in self.proxies.values():
            proxy.restore()

    async def ask_redis(self, *command: Any) -> Any:
        """Send one command to Redis, past the proxies."""
        return await asyncio.to_thread(lambda: self._ask(lambda c: c.execute_command(*command)))

    def _ask(self, ask: Callable[[Any], Any]) -> Any:
        with closing(self.redis.client()) as client:
            return ask(client)

    # How a run ends

    def wait_until_stored(self) -> None:
        """Wait until the receiver has made its table: from then on it may be killed."""
        # The first start migrates; a kill in between is the migration's own matter.
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.table.exists():
                try:
                    self.rows()
                except sqlite3.OperationalError:
                    pass
                else:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.receiver.name} does not start:\n{self.receiver.log}")

    async def settled(self) -> bool:
        """Whether the source has nothing left, and the group has finished with everything."""
        return await self.remaining() == (0, (0, 0))

    async def remaining(self) -> tuple[int, tuple[int | None, int]]:
        """Return what is unconfirmed at the source, and the group's lag and pending count."""
        return await self.unconfirmed(), await asyncio.to_thread(self.group)

    def group(self) -> tuple[int | None, int]:
        """Return the lag and the pending count of the consumer group; no lag without a group."""
        groups = self._ask(lambda c: c.xinfo_groups(command_received.name))
        for group in groups:
            if group["name"] == GROUP.encode():
                return group["lag"], group["pending"]
        return None, 0

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the table."""
        with closing(sqlite3.connect(self.table, timeout=20)) as database:
            return list(database.execute("SELECT event_id, command FROM commands ORDER BY id"))

    def audited(self) -> list[str]:
        """Return what a second group has handled, where there is one."""
        return []

    def counts(self) -> tuple[int, int]:
        """Return how many entries the stream has, and how many rows the table."""
        with closing(sqlite3.connect(self.table, timeout=20)) as database:
            (stored,) = database.execute("SELECT count(*) FROM commands").fetchone()
        return self._ask(lambda c: c.xlen(command_received.name)), stored

    async def found(self) -> Found:
        """Read everything that the run has left behind."""
        found = await asyncio.to_thread(self._read)
        refused = set(found.refused)
        users = {sent.user for sent in self.sent if sent.event_id in refused}
        untold = {sent.user for sent in self.odd} - await self.told_of_odd()
        return replace(found, told=await self.told(users), untold_of_odd=frozenset(untold))

    def _read(self) -> Found:
        entries = self._ask(lambda c: c.xrange(command_received.name))
        events = [decode(command_received, fields) for _, fields in entries]
        letters = self.letters()
        lag, pending = self.group()
        was_full = any(self.restarts[name] for name in (FULL, OUT_OF_MEMORY))
        no_room = {letter.event_id for letter in letters if NO_ROOM in letter.reason}
        return Found(
            stream=[(event_id, event.command) for event_id, event in events],
            refused=[letter.event_id for letter in letters if not letter.group],
            unhandled=[letter.event_id for letter in letters if letter.group],
            table=self.rows(),
            pending=pending,
            lag=lag,
            told=None,
            no_room=frozenset(no_room if was_full else ()),
            replayed=tuple(self.replayed),
            odd=[sent.event_id for sent in self.odd],
            kept=[letter.event_id for letter in self.letters(telegram_update)],
            audited=self.audited(),
            deadly=frozenset(s.event_id for s in self.sent if DEADLY in s.text),
        )

    def letters(self, stream: EventStream[Any] = command_received) -> list[DeadLetter]:
        """Return a stream's dead letters."""
        return [
            DeadLetter.parse(fields)
            for _, fields in self._ask(lambda c: c.xrange(stream.dead_letters))
        ]
