"""What every run is made of: who sends, Redis between, who receives, and how it all ends.

The same faults and the same claims go to every rig: the streams runtime alone, and the whole path
from Telegram to the table.
"""

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shared.generated.events import command_received, telegram_update
from shared.streams import decode
from shared.streams.consume.limits import Limits
from shared.streams.errors import NO_ROOM
from tests.chaos import points
from tests.chaos.dying import ORDER, Order
from tests.chaos.ledger import Findings, Sent
from tests.chaos.points import DEADLY
from tests.chaos.redis_part import FULL, OUT_OF_MEMORY, RedisPart

if TYPE_CHECKING:
    from tests.chaos.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
PUBLISHER_POINTS = (points.BEFORE_PUBLISH, points.WHILE_PUBLISHING, points.AFTER_PUBLISH)
CONSUMER_POINTS = (points.AFTER_READ, points.BEFORE_ACK, points.AFTER_ACK)
CLAIMED = Limits().claim_after * 4 / 3
"""Seconds after which another consumer has claimed what a frozen one has read."""
NOBODY_ELSE = 4999
"""A user of whom the load sends nothing."""


class Rig(ABC):
    """Everything that one run starts; `async with` starts it and takes it down.

    Attributes:
        redis: What lies between sender and receiver.
        sender: Who publishes: the bot, or the publisher alone.
        receiver: Who stores: the backend, or the consumer alone.
        sent: Every command that was handed over, in order.
    """

    def __init__(self, without: str = "") -> None:
        self.redis = RedisPart(guarded=without != "the guard of the file")
        self.sent: list[Sent] = []
        self.replayed: list[str] = []
        self.odd: list[Sent] = []
        self.restarts: Counter[str] = Counter()
        self.folder = Path()
        self.without = {"CHAOS_WITHOUT": without} if without else {}
        self.sender: Worker
        self.receiver: Worker
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        folder = tempfile.TemporaryDirectory(prefix="herald-chaos-")
        self.folder = Path(self._stack.enter_context(folder))
        await self._stack.enter_async_context(self.redis)
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

    async def told_kept(self) -> frozenset[int]:
        """Return the users who were told that what they sent is kept."""
        return frozenset()

    @abstractmethod
    async def unconfirmed(self) -> int:
        """Return how many commands the source would hand over again."""

    @abstractmethod
    async def informed(self, users: set[int]) -> frozenset[int] | None:
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
            "REDIS_URL": self.redis.proxies[end].url,
            ORDER: str(order.path),
            **self.without,
        }

    async def be_killed_by_an_entry(self, _: random.Random) -> None:
        """Hand over a command that kills its handler, until the group gives it up.

        Raises:
            TimeoutError: it was not given up.
        """
        text = f"/command {len(self.sent)} {DEADLY}"
        await self.hand_over([(NOBODY_ELSE, text)])
        event_id = next(s.event_id for s in reversed(self.sent) if s.text == text)

        def given_up() -> bool:
            return event_id in {letter.event_id for letter in self.redis.letters() if letter.group}

        await self.receiver.die_until(given_up)

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
        return await self.unconfirmed(), await asyncio.to_thread(self.redis.group)

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
        return self.redis.do(lambda c: c.xlen(command_received.name)), stored

    async def findings(self) -> Findings:
        """Read everything that the run has left behind."""
        findings = await asyncio.to_thread(self._read)
        refused = set(findings.refused)
        failed = {sent.user for sent in self.sent if sent.event_id in refused}
        users = failed | {sent.user for sent in self.odd}
        return replace(
            findings, informed=await self.informed(users), told_kept=await self.told_kept()
        )

    def _read(self) -> Findings:
        entries = self.redis.do(lambda c: c.xrange(command_received.name))
        events = [decode(command_received, fields) for _, fields in entries]
        letters = self.redis.letters()
        lag, pending = self.redis.group()
        was_full = any(self.redis.struck[name] for name in (FULL, OUT_OF_MEMORY))
        of_updates = self.redis.letters(telegram_update)
        no_room = {
            letter.event_id for letter in (*letters, *of_updates) if NO_ROOM in letter.reason
        }
        return Findings(
            stream=[(event_id, event.command) for event_id, event in events],
            refused=[letter.event_id for letter in letters if not letter.group],
            unhandled=[letter.event_id for letter in letters if letter.group],
            table=self.rows(),
            pending=pending,
            lag=lag,
            informed=None,
            no_room=frozenset(no_room if was_full else ()),
            replayed=tuple(self.replayed),
            odd=tuple(self.odd),
            kept=[letter.event_id for letter in of_updates],
            audited=self.audited(),
            deadly=frozenset(s.event_id for s in self.sent if DEADLY in s.text),
        )
