"""The subscriber's handler: each command is stored once, or nothing of it is."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import RowMapping, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import schema
from backend.commands import CommandStore
from backend.tables import commands, inbox
from shared.generated.events import Delivery, TryLaterError
from shared.generated.schemas import CommandReceived
from tests.postgres import PostgresServer

Connect = Callable[[str], AsyncEngine]

SENT = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)


def command(text: str = "/command a b", **changes: object) -> CommandReceived:
    """Return a command as the bot publishes it."""
    said = CommandReceived(command=text, args=text.split()[1:], user_id=42, timestamp=SENT)
    return said.model_copy(update=changes)


def delivery(event_id: str = "1:100", attempt: int = 1, source: str = "/tg_bot") -> Delivery:
    """Return what the consumer says of an entry."""
    return Delivery(event_id, "command_received", "1-0", attempt, source)


async def stored(engine: AsyncEngine) -> list[RowMapping]:
    """Return every stored command."""
    async with engine.connect() as connection:
        return list((await connection.execute(select(commands))).mappings())


async def count(engine: AsyncEngine, name: str) -> int:
    """Return how many rows a table has."""
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(text(name))))


async def test_a_command_is_stored_with_everything_it_says(engine: AsyncEngine) -> None:
    """Text, arguments, user, time and event id stand in the row."""
    await CommandStore(engine).store(command("/command привет 🚀"), delivery("1:7"))
    (row,) = await stored(engine)
    assert row["event_id"] == "1:7"
    assert row["user_id"] == 42
    assert row["command"] == "/command привет 🚀"
    assert row["args"] == ["привет", "🚀"]
    assert row["sent_at"] == SENT


async def test_a_time_with_another_offset_is_the_same_moment(engine: AsyncEngine) -> None:
    """A publisher in another time zone means the same instant."""
    there = SENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await CommandStore(engine).store(command(timestamp=there), delivery())
    (row,) = await stored(engine)
    assert row["sent_at"] == SENT


async def test_a_redelivered_event_is_stored_once(engine: AsyncEngine) -> None:
    """The consumer may hand an event over again: after a lost acknowledgement, after a crash."""
    store = CommandStore(engine)
    for attempt in (1, 2, 3):
        await store.store(command(), delivery(attempt=attempt))
    assert len(await stored(engine)) == 1


async def test_an_id_of_another_source_is_another_event(engine: AsyncEngine) -> None:
    """Source and id together identify an event; each is stored, once."""
    store = CommandStore(engine)
    for source in ("/tg_bot", "/elsewhere", "/tg_bot", "/elsewhere"):
        await store.store(command(f"/from {source}"), delivery(source=source))
    rows = await stored(engine)
    assert [(row["source"], row["event_id"]) for row in rows] == [
        ("/tg_bot", "1:100"),
        ("/elsewhere", "1:100"),
    ]
    assert await store.forget(datetime.now(UTC) + timedelta(days=1)) == 2


async def test_an_event_in_two_processes_at_once_is_stored_once(
    engine: AsyncEngine, database_url: str, connect_to: Connect
) -> None:
    """A claimed entry may still be in hand elsewhere: the inbox decides, and neither fails."""
    stores = (CommandStore(engine), CommandStore(connect_to(database_url)))
    await asyncio.gather(
        *(store.store(command(), delivery(str(n))) for n in range(20) for store in stores)
    )
    assert sorted(row["event_id"] for row in await stored(engine)) == sorted(map(str, range(20)))


async def test_events_that_arrive_together_are_stored_in_their_order(engine: AsyncEngine) -> None:
    """They share a transaction or two, and the rows stand in the order of the stream."""
    commits: list[object] = []
    event.listen(engine.sync_engine, "commit", commits.append)
    store = CommandStore(engine)
    await asyncio.gather(*(store.store(command(), delivery(f"1:{n}")) for n in range(100)))
    assert [row["event_id"] for row in await stored(engine)] == [f"1:{n}" for n in range(100)]
    assert len(commits) <= 2


async def test_one_bad_event_does_not_touch_the_others(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Of those in its transaction, every other one is stored and only it has failed."""
    url = postgres.create_database()
    await schema.upgrade(url)
    engine = connect_to(url)
    store = CommandStore(engine)
    bad = command(user_id=2**70)
    outcomes = await asyncio.gather(
        *(store.store(bad if n == 5 else command(), delivery(str(n))) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes].count("NoneType") == 9
    assert isinstance(outcomes[5], DBAPIError)
    assert len(await stored(engine)) == 9


async def test_a_handler_that_is_cancelled_harms_no_other(engine: AsyncEngine) -> None:
    """At the end of the grace period some are: what shares their transaction is stored."""
    store = CommandStore(engine)
    handlers = [asyncio.create_task(store.store(command(), delivery(str(n)))) for n in range(10)]
    for _ in range(3):
        await asyncio.sleep(0)  # the transaction is under way now
    handlers[0].cancel()
    outcomes = await asyncio.gather(*handlers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None] * 9
    await store.store(command(), delivery("0", attempt=2))
    assert len(await stored(engine)) == 10


async def test_a_store_that_is_closed_leaves_nobody_waiting(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that hangs at the end of the process does not hang the process."""
    monkeypatch.setattr("backend.inbox.CLOSE_GRACE", 0.1)
    hung = asyncio.Event()

    async def hang(*_: object) -> None:
        hung.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("backend.inbox.insert_new", hang)
    store = CommandStore(engine)
    first = asyncio.create_task(store.store(command(), delivery("1")))
    await hung.wait()
    second = asyncio.create_task(store.store(command(), delivery("2")))
    await asyncio.sleep(0)
    await store.close()
    for handler in (first, second):
        with pytest.raises(TryLaterError):
            await handler


async def test_two_events_with_the_same_text_are_both_stored(engine: AsyncEngine) -> None:
    """The event id decides, not the content: a user may say the same thing twice."""
    store = CommandStore(engine)
    await store.store(command(), delivery("1"))
    await store.store(command(), delivery("2"))
    assert len(await stored(engine)) == 2


async def test_the_inbox_row_goes_with_the_effect(engine: AsyncEngine) -> None:
    """Where the effect fails the event was not handled: its redelivery stores it."""
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE commands RENAME TO away"))
    with pytest.raises(TryLaterError):
        await CommandStore(engine).store(command(), delivery())
    assert await count(engine, "inbox") == 0
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO commands"))
    await CommandStore(engine).store(command(), delivery(attempt=2))
    assert len(await stored(engine)) == 1
    assert await count(engine, inbox.name) == 1


@pytest.mark.parametrize(
    "said",
    [
        "/command " + "я" * 4087,
        "/command \u202e\u05d0\u05d1\u202c \u0645\u0631",
        "/command 👩‍👩‍👧‍👦 \ud7ff",
        "/",
        "",
    ],
)
async def test_any_text_is_kept_as_it_is(engine: AsyncEngine, said: str) -> None:
    """The longest message, right-to-left text, joined emoji, nothing at all."""
    await CommandStore(engine).store(command(said), delivery())
    (row,) = await stored(engine)
    assert row["command"] == said
    assert row["args"] == said.split()[1:]


async def test_a_nul_does_not_keep_a_command_from_being_stored(engine: AsyncEngine) -> None:
    """PostgreSQL's text holds no NUL: it is replaced, and the rest is kept."""
    await CommandStore(engine).store(command("/command a\0b c\0"), delivery())
    (row,) = await stored(engine)
    assert row["command"] == "/command a\ufffdb c\ufffd"
    assert row["args"] == ["a\ufffdb", "c\ufffd"]


async def test_an_event_that_can_never_be_stored_is_a_failure(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """No repetition mends a value beyond the column: the handler fails, the limit counts."""
    url = postgres.create_database()
    await schema.upgrade(url)
    engine = connect_to(url)
    with pytest.raises(DBAPIError):
        await CommandStore(engine).store(command(user_id=2**70), delivery())
    assert await count(engine, "inbox") == 0


async def test_while_the_database_is_away_the_handler_asks_for_later(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Killed under a live connection and still away: `TryLaterError`, until it is back."""
    del postgres  # asked for, so that a machine without one skips
    with PostgresServer() as server:
        url = server.create_database()
        await schema.upgrade(url)
        engine = connect_to(url)
        store = CommandStore(engine)
        await store.store(command(), delivery("before"))
        server.kill()
        for event_id in ("during", "still"):
            with pytest.raises(TryLaterError):
                await store.store(command(), delivery(event_id))
        server.start()
        for event_id in ("before", "during", "still"):
            await store.store(command(), delivery(event_id, attempt=2))
        assert [row["event_id"] for row in await stored(engine)] == ["before", "during", "still"]
        await engine.dispose()


async def test_while_another_writer_has_the_file_the_handler_asks_for_later(
    sqlite_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes one writer at a time; who waits in vain asks for later."""
    monkeypatch.setattr("backend.database.LOCK_TIMEOUT", 0.05)
    await schema.upgrade(sqlite_url)
    engine, other = connect_to(sqlite_url), connect_to(sqlite_url)
    async with other.connect() as connection:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(TryLaterError, match="locked"):
            await CommandStore(engine).store(command(), delivery())
    await CommandStore(engine).store(command(), delivery(attempt=2))
    assert len(await stored(engine)) == 1
