"""The inbox forgets what cannot come again, and nothing else."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import inbox as inbox_module
from backend import schema
from backend.commands import HANDLER, CommandStore
from backend.tables import inbox
from shared.generated.events import command_received
from tests.conditions import eventually
from tests.processes import Service
from tests.servers import RedisServer

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def rows(ages: dict[str, int], handler: str = HANDLER) -> list[dict[str, object]]:
    """Return inbox rows of so many days, by event id."""
    return [
        {"handler": handler, "event_id": event_id, "handled_at": NOW - days * DAY}
        for event_id, days in ages.items()
    ]


async def ids(engine: AsyncEngine) -> set[str]:
    """Return the event ids in the inbox."""
    async with engine.connect() as connection:
        return set((await connection.execute(select(inbox.c.event_id))).scalars())


async def test_only_older_events_of_the_handler_are_forgotten(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several transactions where there are many; another handler's rows are its own matter."""
    monkeypatch.setattr(inbox_module, "FORGET_AT_ONCE", 10)
    old = {f"old:{n}": 9 for n in range(35)}
    async with engine.begin() as connection:
        await connection.execute(insert(inbox), rows(old | {"young": 1}))
        await connection.execute(insert(inbox), rows({"other": 9}, "somebody else"))
    store = CommandStore(engine)
    assert await store.forget(NOW - 8 * DAY) == 35
    assert await store.forget(NOW - 8 * DAY) == 0
    assert await ids(engine) == {"young", "other"}


@pytest.mark.parametrize("kept_in", [command_received.name, command_received.dead_letters])
async def test_what_can_come_again_is_remembered(
    kept_in: str, redis: RedisServer, sqlite_url: str, tmp_path: Path
) -> None:
    """An entry of twelve days in the stream, or in the dead letters, keeps what is younger."""
    await schema.upgrade(sqlite_url)
    path = tmp_path / "backend.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO inbox (handler, event_id, handled_at)"
            " VALUES (:handler, :event_id, :handled_at)",
            [
                {**row, "handled_at": str(row["handled_at"])}
                for row in rows({"gone": 14, "pending": 12, "old": 9, "young": 1})
            ],
        )
    twelve_days_ago = int((NOW - 12 * DAY).timestamp() * 1000)
    redis.client().xadd(kept_in, {"field": "not an event"}, id=f"{twelve_days_ago}-0")
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis.url, "HTTP_PORT": "0"}
    with Service("backend", LOG_FORMAT="json", **variables) as backend:
        await eventually(lambda: "inbox tidied" in backend.log)
    assert await asyncio.to_thread(left, path) == {"pending", "old", "young"}


def left(path: Path) -> set[str]:
    """Return the event ids in the inbox of an SQLite file."""
    with closing(sqlite3.connect(path)) as database:
        return {event_id for (event_id,) in database.execute("SELECT event_id FROM inbox")}
