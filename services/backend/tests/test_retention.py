"""The inbox forgets what cannot come again, and nothing else."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import inbox as inbox_module
from backend import schema
from backend.commands import HANDLER, CommandStore
from backend.retention import horizon
from backend.tables import commands, inbox
from shared.generated.events import Delivery, broker, command_received
from shared.generated.schemas import CommandReceived
from shared.streams.consume.group import Group
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import encode
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


async def test_a_replay_after_a_month_has_no_second_effect(
    engine: AsyncEngine, redis: RedisServer
) -> None:
    """Another group buried the event then; until its replay is handled the inbox remembers it."""
    event = CommandReceived(command="/c", args=[], user_id=1, timestamp=NOW - 30 * DAY)
    payload = encode(event, event_id="42:7", kind=command_received.name, source="/tg_bot")
    client, name = redis.client(), command_received.name
    entry = f"{int((NOW - 30 * DAY).timestamp() * 1000)}-0"
    client.xadd(name, {"__data__": payload}, id=entry)
    store = CommandStore(engine)
    await store.store(event, Delivery("42:7", name, entry, 1, "/tg_bot"))
    async with engine.begin() as connection:
        await connection.execute(update(inbox).values(handled_at=NOW - 30 * DAY))
    group = Group(await broker.connect(redis.url), name, "audit", "m")
    await group.create()
    await group.read(1, 0.1)
    letter = DeadLetter("42:7", payload, "no good", "/tg_bot", "audit", entry)
    assert await group.bury(entry, letter, is_event=True)
    graveyard = Graveyard(client, {name: command_received})
    (buried,) = graveyard.letters(name)
    replayed = graveyard.replay(buried)
    assert replayed is not None
    assert await store.forget(await horizon()) == 0
    await store.store(event, Delivery("42:7", name, replayed, 1, "/tg_bot"))
    async with engine.connect() as connection:
        assert len((await connection.execute(select(commands.c.id))).all()) == 1
    await store.close()
    await broker.close()


def left(path: Path) -> set[str]:
    """Return the event ids in the inbox of an SQLite file."""
    with closing(sqlite3.connect(path)) as database:
        return {event_id for (event_id,) in database.execute("SELECT event_id FROM inbox")}
