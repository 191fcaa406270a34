"""Each event has its effect once, or nothing of it has happened."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import RowMapping, event, func, select, text
from sqlalchemy.exc import DBAPIError

from shared.inbox import insert_new
from shared.streams import Delivery, TryLaterError
from tests.inbox.ledger import Ledger, enter, entries, new_ledger
from tests.postgres import PostgresServer
from tests.shared.said import said

Connect = Callable[[str], Ledger]

LATER = datetime.now(UTC) + timedelta(days=1)


def delivery(event_id: str = "1:100", attempt: int = 1, source: str = "/tests") -> Delivery:
    """Return what the consumer says of an entry."""
    return Delivery(event_id, "said", "1-0", attempt, source)


async def stored(ledger: Ledger) -> list[RowMapping]:
    """Return every entry."""
    async with ledger.database.begin() as connection:
        return list((await connection.execute(select(entries))).mappings())


async def count(ledger: Ledger, name: str) -> int:
    """Return how many rows a table has."""
    async with ledger.database.begin() as connection:
        rows = await connection.execute(select(func.count()).select_from(text(name)))
        return int(rows.scalar_one())


async def test_a_redelivered_event_counts_once(ledger: Ledger) -> None:
    """The consumer may hand an event over again: after a lost acknowledgement, after a crash."""
    for attempt in (1, 2, 3):
        await ledger.enter(said(1), delivery(attempt=attempt))
    assert len(await stored(ledger)) == 1


async def test_a_time_comes_back_in_utc(ledger: Ledger) -> None:
    """Whatever its offset was, and though SQLite keeps none."""
    at = datetime(2026, 1, 31, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    await ledger.enter(said(1).model_copy(update={"at": at}), delivery())
    (row,) = await stored(ledger)
    assert (row["at"], row["at"].utcoffset()) == (at, timedelta())


async def test_an_id_of_another_source_is_another_event(ledger: Ledger) -> None:
    """Source and id together identify an event; each counts, once."""
    for source in ("/tests", "/elsewhere", "/tests", "/elsewhere"):
        await ledger.enter(said(1), delivery(source=source))
    rows = await stored(ledger)
    assert [(row["source"], row["event_id"]) for row in rows] == [
        ("/tests", "1:100"),
        ("/elsewhere", "1:100"),
    ]
    assert await ledger.database.forget(LATER) == 2


async def test_an_event_in_two_processes_at_once_counts_once(
    ledger: Ledger, database_url: str, connect_to: Connect
) -> None:
    """A claimed entry may still be in hand elsewhere: the inbox decides, and neither fails."""
    ledgers = (ledger, connect_to(database_url))
    await asyncio.gather(
        *(it.enter(said(n), delivery(str(n))) for n in range(20) for it in ledgers)
    )
    assert sorted(row["event_id"] for row in await stored(ledger)) == sorted(map(str, range(20)))


async def test_events_that_arrive_together_count_in_their_order(ledger: Ledger) -> None:
    """They share a transaction or two, and the rows stand in the order of the stream."""
    commits: list[object] = []
    event.listen(ledger.database.engine.sync_engine, "commit", commits.append)
    await asyncio.gather(*(ledger.enter(said(n), delivery(f"1:{n}")) for n in range(100)))
    commits, shared = [], commits
    assert [row["event_id"] for row in await stored(ledger)] == [f"1:{n}" for n in range(100)]
    assert len(shared) <= 2


async def test_one_bad_event_does_not_touch_the_others(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Of those in its transaction, every other one counts and only it has failed."""
    url = postgres.create_database()
    ledger = connect_to(url)
    await ledger.database.upgrade(url)
    outcomes = await asyncio.gather(
        *(ledger.enter(said(2**70 if n == 5 else n), delivery(str(n))) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes].count("NoneType") == 9
    assert isinstance(outcomes[5], DBAPIError)
    assert len(await stored(ledger)) == 9
    assert await count(ledger, "ledger_inbox") == 9


async def test_a_handler_that_is_cancelled_harms_no_other(ledger: Ledger) -> None:
    """At the end of the grace period some are: what shares their transaction counts."""
    handlers = [asyncio.ensure_future(ledger.enter(said(n), delivery(str(n)))) for n in range(10)]
    for _ in range(3):
        await asyncio.sleep(0)  # the transaction is under way now
    handlers[0].cancel()
    outcomes = await asyncio.gather(*handlers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None] * 9
    await ledger.enter(said(0), delivery("0", attempt=2))
    assert len(await stored(ledger)) == 10


async def test_closing_leaves_nobody_waiting(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that hangs at the end of the process does not hang the process."""
    monkeypatch.setattr("shared.inbox.inbox.CLOSE_GRACE", 0.1)
    hung = asyncio.Event()

    async def hang(*_: object) -> None:
        hung.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("shared.inbox.inbox.insert_new", hang)
    first = asyncio.ensure_future(ledger.enter(said(1), delivery("1")))
    await hung.wait()
    second = asyncio.ensure_future(ledger.enter(said(2), delivery("2")))
    await asyncio.sleep(0)
    await ledger.database.close()
    for handler in (first, second):
        with pytest.raises(TryLaterError):
            await handler


async def test_closing_waits_for_what_is_being_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its effect, and its handler hears of that and not of the end of the process."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def slowly(*given: Any) -> Any:
        begun.set()
        await release.wait()
        return await insert_new(*given)

    monkeypatch.setattr("shared.inbox.inbox.insert_new", slowly)
    handler = asyncio.ensure_future(ledger.enter(said(1), delivery("1")))
    await begun.wait()
    closing = asyncio.ensure_future(ledger.database.close())
    asyncio.get_running_loop().call_later(0.2, release.set)
    await closing
    await handler


async def test_two_events_with_the_same_content_both_count(ledger: Ledger) -> None:
    """The event id decides, not the content: a user may say the same thing twice."""
    await ledger.enter(said(1), delivery("1"))
    await ledger.enter(said(1), delivery("2"))
    assert len(await stored(ledger)) == 2


async def test_the_inbox_row_goes_with_the_effect(ledger: Ledger) -> None:
    """Where the effect fails the event was not handled: its redelivery has it."""
    async with ledger.database.begin() as connection:
        await connection.execute(text("ALTER TABLE ledger_entries RENAME TO away"))
    with pytest.raises(TryLaterError):
        await ledger.enter(said(1), delivery())
    assert await count(ledger, "ledger_inbox") == 0
    async with ledger.database.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO ledger_entries"))
    await ledger.enter(said(1), delivery(attempt=2))
    assert len(await stored(ledger)) == 1
    assert await count(ledger, "ledger_inbox") == 1


async def test_an_event_that_can_never_be_stored_is_a_failure(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """No repetition mends a value beyond the column: the handler fails, the limit counts."""
    url = postgres.create_database()
    ledger = connect_to(url)
    await ledger.database.upgrade(url)
    with pytest.raises(DBAPIError):
        await ledger.enter(said(2**70), delivery())
    assert await count(ledger, "ledger_inbox") == 0


async def test_while_the_database_is_away_the_handler_asks_for_later(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Killed under a live connection and still away: `TryLaterError`, until it is back."""
    del postgres  # asked for, so that a machine without one skips
    with PostgresServer() as server:
        url = server.create_database()
        ledger = connect_to(url)
        await ledger.database.upgrade(url)
        await ledger.enter(said(1), delivery("before"))
        server.kill()
        for event_id in ("during", "still"):
            with pytest.raises(TryLaterError):
                await ledger.enter(said(1), delivery(event_id))
        server.start()
        for event_id in ("before", "during", "still"):
            await ledger.enter(said(1), delivery(event_id, attempt=2))
        assert [row["event_id"] for row in await stored(ledger)] == ["before", "during", "still"]
        await ledger.database.close()


async def test_while_another_writer_has_the_file_the_handler_asks_for_later(
    sqlite_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes one writer at a time; who waits in vain asks for later."""
    monkeypatch.setattr("shared.inbox.engine.LOCK_TIMEOUT", 0.05)
    ledger, other = connect_to(sqlite_url), connect_to(sqlite_url)
    await ledger.database.upgrade(sqlite_url)
    async with other.database.engine.connect() as connection:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(TryLaterError, match="locked"):
            await ledger.enter(said(1), delivery())
    await ledger.enter(said(1), delivery(attempt=2))
    assert len(await stored(ledger)) == 1


def test_two_handlers_of_one_name_are_refused() -> None:
    """Each would take the other's events for its own, and have no effect."""
    with pytest.raises(ValueError, match="a handler 'enter' already"):
        new_ledger().database.once()(enter)
