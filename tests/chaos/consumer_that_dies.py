"""`python -m tests.chaos.consumer_that_dies`: the consumer alone, with an inbox in SQLite.

Its table has no unique key: what is stored twice is seen twice.
"""

import asyncio
import os
import signal
import sqlite3
from pathlib import Path

from shared.generated.events import Delivery, Limits, broker, subscribe_command_received
from shared.generated.schemas import CommandReceived
from tests.chaos.dying import pass_point
from tests.chaos.points import DEADLY, UNLUCKY, wrap_group
from tests.chaos.sabotage import sabotage

GROUP = "backend"
BEFORE_COMMIT = "before commit"
FAST = Limits(claim_after=3.0, block=0.2, deliveries=4)
TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS inbox (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS commands (id INTEGER PRIMARY KEY, event_id TEXT, user_id INTEGER,
                                     command TEXT);
CREATE TABLE IF NOT EXISTS audited (event_id TEXT);
"""
AUDIT = "audit"
"""A second group: it keeps what both have buried."""


def mended(table: Path, event_id: str) -> Path:
    """Return the file whose presence lets a command be handled."""
    return table.with_name(f"mended {event_id}")


class Store:
    """A table of commands and the inbox beside it."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._database = sqlite3.connect(path, timeout=20)
        self._database.executescript(TABLES)

    async def store(self, event: CommandReceived, delivery: Delivery) -> None:
        """Store a command once, in one transaction with its id."""
        if DEADLY in event.command:
            os.kill(os.getpid(), signal.SIGKILL)
        self.check_luck(event, delivery)
        with self._database as transaction:
            if self.is_new(delivery.event_id):
                transaction.execute(
                    "INSERT INTO commands (event_id, user_id, command) VALUES (?, ?, ?)",
                    (delivery.event_id, event.user_id, event.command),
                )
            pass_point(BEFORE_COMMIT)

    async def audit(self, event: CommandReceived, delivery: Delivery) -> None:
        """Keep each command of the kind that is buried, once."""
        if UNLUCKY not in event.command:
            return
        self.check_luck(event, delivery)
        statement = (
            "INSERT INTO audited SELECT ?1 WHERE NOT EXISTS "
            "(SELECT 1 FROM audited WHERE event_id = ?1)"
        )
        with self._database as transaction:
            transaction.execute(statement, (delivery.event_id,))

    def check_luck(self, event: CommandReceived, delivery: Delivery) -> None:
        """Raise ValueError where a command cannot be handled until it is mended."""
        if UNLUCKY in event.command and not mended(self._path, delivery.event_id).exists():
            raise ValueError(UNLUCKY)

    def is_new(self, event_id: str) -> bool:
        """Put an id into the inbox; False where it is there already."""
        statement = "INSERT OR IGNORE INTO inbox VALUES (?)"
        return self._database.execute(statement, (event_id,)).rowcount == 1


async def run(path: str, redis_url: str) -> None:
    """Consume until SIGTERM; raises ConsumerStoppedError where the consumer ends by itself."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = Store(path)
    subscribe_command_received(group=GROUP, limits=FAST)(store.store)
    subscribe_command_received(group=AUDIT, limits=FAST)(store.audit)
    await broker.connect(redis_url, source="/chaos")
    await broker.start_consumers()
    stopping = asyncio.ensure_future(stop.wait())
    stopped = asyncio.ensure_future(broker.consumers_stopped())
    await asyncio.wait({stopping, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        stopped.result()
    stopped.cancel()
    await broker.close()


if __name__ == "__main__":
    wrap_group()
    sabotage()
    asyncio.run(run(os.environ["CHAOS_TABLE"], os.environ["REDIS_URL"]))
