"""The rig of `shared.streams` alone: a publisher and a consumer."""

import asyncio
import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from shared.generated.events import command_received
from shared.streams.dead_letters.graveyard import Graveyard
from tests.chaos import backend_that_dies, bot_that_dies
from tests.chaos.consumer_that_dies import AUDIT, mended
from tests.chaos.ledger import Sent
from tests.chaos.points import UNLUCKY
from tests.chaos.publisher_that_dies import Feed
from tests.chaos.redis_part import GROUP
from tests.chaos.rig import CLAIMED, CONSUMER_POINTS, NOBODY_ELSE, PUBLISHER_POINTS, Rig
from tests.chaos.worker import POINT_TIMEOUT, Worker
from tests.processes import Service

TOO_LARGE = "x" * 70_000


class StreamsAlone(Rig):
    """The publisher and the consumer of `shared.streams`, each in a process of its own."""

    async def set_up(self) -> None:
        """Make both workers."""
        self.feed = Feed(self.folder / "feed")
        self.feed.append([])
        self._appending = asyncio.Lock()
        self.sender = self._worker("publisher", "sender", CHAOS_FEED=str(self.folder / "feed"))
        self.receiver = self._worker("consumer", "receiver", CHAOS_TABLE=str(self.table))

    def _worker(self, name: str, end: str, **variables: str) -> Worker:
        order, common = self.variables(name, end)
        points_of = {
            "publisher": (*PUBLISHER_POINTS, bot_that_dies.BEFORE_CONFIRM),
            "consumer": (*CONSUMER_POINTS, backend_that_dies.BEFORE_COMMIT),
        }
        return Worker(
            name,
            lambda: Service(name, **common, **variables),
            f"tests.chaos.{name}_that_dies",
            points_of[name],
            order,
            absence={"publisher": 0.0, "consumer": CLAIMED}[name],
        )

    @property
    def table(self) -> Path:
        """Return the consumer's SQLite file."""
        return self.folder / "table.sqlite"

    async def hand_over(self, texts: list[tuple[int, str]]) -> None:
        """Append commands to the feed."""
        await self._append(texts)

    async def hand_over_bad(self, user: int, text: str) -> None:
        """Append a command that is too large."""
        await self._append([(user, text + TOO_LARGE)], bad=True)

    async def _append(self, texts: list[tuple[int, str]], *, bad: bool = False) -> None:
        async with self._appending:
            first = len(self.sent)
            new = [Sent(f"c:{first + n}", user, text, bad) for n, (user, text) in enumerate(texts)]
            lines = [{"event_id": s.event_id, "user": s.user, "text": s.text} for s in new]
            await asyncio.to_thread(self.feed.append, lines)
            self.sent += new

    async def bury_and_replay(self, _: random.Random) -> None:
        """Have both groups bury a command, mend it, and replay each letter, as an operator does.

        Raises:
            TimeoutError: it was not buried by both, or not handled by both after that.
        """
        text = f"/command {len(self.sent)} {UNLUCKY}"
        await self.hand_over([(NOBODY_ELSE - len(self.replayed) - 1, text)])
        event_id = next(s.event_id for s in reversed(self.sent) if s.text == text)
        async with asyncio.timeout(POINT_TIMEOUT):
            while await asyncio.to_thread(self._buried_by, event_id) != {GROUP, AUDIT}:
                await asyncio.sleep(0.1)
            mended(self.table, event_id).touch()
            await asyncio.to_thread(self.redis.do, partial(self._replay, event_id))
            self.replayed.append(event_id)
            while not await asyncio.to_thread(self._is_handled, event_id):
                await asyncio.sleep(0.1)
        self.restarts["dead letters: two of one command, replayed"] += 1

    def _buried_by(self, event_id: str) -> set[str]:
        return {letter.group for letter in self.redis.letters() if letter.event_id == event_id}

    def _replay(self, event_id: str, client: Any) -> None:
        graveyard = Graveyard(client, {command_received.name: command_received})
        for buried in list(graveyard.letters(command_received.name)):
            if buried.letter.event_id == event_id:
                graveyard.replay(buried)

    def _is_handled(self, event_id: str) -> bool:
        stored = {stored for stored, _ in self.rows()}
        return event_id in stored and event_id in self.audited()

    def audited(self) -> list[str]:
        """Return the commands that the second group has handled, as often as it has."""
        with closing(sqlite3.connect(self.table, timeout=20)) as database:
            return [row[0] for row in database.execute("SELECT event_id FROM audited")]

    async def unconfirmed(self) -> int:
        """Return how many lines of the feed are not confirmed."""
        return len(self.sent) - self.feed.confirmed

    async def informed(self, users: set[int]) -> frozenset[int] | None:
        """Nobody is there to be told."""
        return None if users else frozenset()
