"""The inbox forgets what cannot come again, and nothing else."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from shared.generated.events import broker
from shared.inbox import inbox as inbox_module
from shared.inbox.retention import horizon
from shared.metrics import catalogue
from shared.streams import Delivery
from shared.streams.consume.group import Group
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import encode
from tests.conditions import eventually
from tests.inbox.ledger import Ledger, entries, new_ledger
from tests.processes import Service
from tests.servers import RedisServer
from tests.shared.said import SAID, said

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def rows(ages: dict[str, int], handler: str = "enter") -> list[dict[str, object]]:
    """Return inbox rows of so many days, by event id."""
    return [
        {"handler": handler, "event_id": event_id, "handled_at": NOW - days * DAY}
        for event_id, days in ages.items()
    ]


async def ids(ledger: Ledger) -> set[str]:
    """Return the event ids in the inbox."""
    async with ledger.database.begin() as connection:
        return set((await connection.execute(select(ledger.database.inbox.c.event_id))).scalars())


async def test_what_is_remembered_is_counted_by_its_handler(ledger: Ledger) -> None:
    """A table that only grows is seen before the disk is full."""
    async with ledger.database.begin() as connection:
        inbox = insert(ledger.database.inbox)
        await connection.execute(inbox, [*rows({"a": 1, "b": 2}), *rows({"a": 1}, "other")])
    await ledger.database.measure()
    assert [catalogue.INBOX.series[name,] for name in ("enter", "other")] == [2, 1]


async def test_only_older_events_of_the_handler_are_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several transactions where there are many; another handler's rows are its own matter."""
    monkeypatch.setattr(inbox_module, "FORGET_AT_ONCE", 10)
    old = {f"old:{n}": 9 for n in range(35)}
    async with ledger.database.begin() as connection:
        await connection.execute(insert(ledger.database.inbox), rows(old | {"young": 1}))
        await connection.execute(insert(ledger.database.inbox), rows({"other": 9}, "somebody else"))
    assert await ledger.database.forget(NOW - 8 * DAY) == 35
    assert await ledger.database.forget(NOW - 8 * DAY) == 0
    assert await ids(ledger) == {"young", "other"}


@pytest.mark.parametrize("kept_in", [SAID.name, SAID.dead_letters])
async def test_what_can_come_again_is_remembered(
    kept_in: str, redis_server: RedisServer, sqlite_url: str, tmp_path: Path
) -> None:
    """An entry of twelve days in the stream, or in the dead letters, keeps what is younger."""
    await new_ledger().database.upgrade(sqlite_url)
    path = tmp_path / "backend.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO ledger_inbox (handler, event_id, handled_at)"
            " VALUES (:handler, :event_id, :handled_at)",
            [
                {**row, "handled_at": str(row["handled_at"])}
                for row in rows({"gone": 14, "pending": 12, "old": 9, "young": 1})
            ],
        )
    twelve_days_ago = int((NOW - 12 * DAY).timestamp() * 1000)
    redis_server.client().xadd(kept_in, {"field": "not an event"}, id=f"{twelve_days_ago}-0")
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis_server.url}
    with Service("tests.inbox.ledger", **variables) as worker:
        await eventually(lambda: "inbox tidied" in worker.log)
    assert await asyncio.to_thread(left, path) == {"pending", "old", "young"}


async def test_the_retention_decides_and_whatever_is_older(redis_server: RedisServer) -> None:
    """Less a day by which clocks may differ; a young entry makes the time no shorter."""
    client = redis_server.client()
    await broker.connect(redis_server.url)
    try:
        retention = timedelta(seconds=SAID.retention)
        for stream, age, expected in (
            ("", 0, retention + DAY),
            (SAID.name, 1, retention + DAY),
            (SAID.dead_letters, 12, 13 * DAY),
        ):
            if stream:
                at = int((NOW - age * DAY).timestamp() * 1000)
                client.xadd(stream, {"field": "not an event"}, id=f"{at}-0")
            before = await horizon(SAID)
            assert abs(datetime.now(UTC) - before - expected) < timedelta(minutes=10)
    finally:
        await broker.close()


async def test_a_replay_after_a_month_has_no_second_effect(
    ledger: Ledger, redis_server: RedisServer
) -> None:
    """Another group buried the event then; until its replay is handled the inbox remembers it."""
    payload = encode(said(7), event_id="42:7", kind=SAID.name, source="/tests")
    client, inbox = redis_server.client(), ledger.database.inbox
    entry = f"{int((NOW - 30 * DAY).timestamp() * 1000)}-0"
    client.xadd(SAID.name, {"__data__": payload}, id=entry)
    await ledger.enter(said(7), Delivery("42:7", SAID.name, entry, 1, "/tests"))
    async with ledger.database.begin() as connection:
        await connection.execute(update(inbox).values(handled_at=NOW - 30 * DAY))
    group = Group(await broker.connect(redis_server.url), SAID.name, "audit", "m")
    await group.create()
    await group.read(1, 0.1)
    letter = DeadLetter("42:7", payload, "no good", "/tests", "audit", entry)
    assert await group.bury(entry, letter, is_event=True)
    graveyard = Graveyard(client, {SAID.name: SAID})
    (buried,) = graveyard.letters(SAID.name)
    replayed = graveyard.replay(buried)
    assert replayed is not None
    assert await ledger.database.forget(await horizon(SAID)) == 0
    await ledger.enter(said(7), Delivery("42:7", SAID.name, replayed, 1, "/tests"))
    async with ledger.database.begin() as connection:
        assert len((await connection.execute(select(entries.c.id))).all()) == 1
    await broker.close()


def left(path: Path) -> set[str]:
    """Return the event ids in the inbox of an SQLite file."""
    with closing(sqlite3.connect(path)) as database:
        return {event_id for (event_id,) in database.execute("SELECT event_id FROM ledger_inbox")}
