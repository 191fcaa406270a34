"""With copies of the database: what counts as handled is on a replica too."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from shared.streams import TryLaterError
from tests.inbox.ledger import Ledger
from tests.inbox.test_once import delivery, stored
from tests.postgres import PostgresServer
from tests.shared.said import said

Connect = Callable[[str], Ledger]

WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL whose settings are this test's alone."""
    with PostgresServer() as server:
        yield server


@contextmanager
def operator(url: str) -> Iterator[psycopg.Connection]:
    """Connect beside the ledger; what is written there waits for no replica."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


async def waits(connection: psycopg.Connection) -> None:
    """Return when a commit waits for a replica."""
    async with asyncio.timeout(30):
        while connection.execute(f"SELECT 1 {WAITING}").fetchone() is None:
            await asyncio.sleep(0.02)


async def test_an_event_counts_as_known_only_where_a_replica_has_it(
    own_server: PostgresServer, connect_to: Connect
) -> None:
    """A commit whose wait is cut short stands on the primary alone, where the next try sees it.

    To take it for handled there loses it with that server.
    """
    url = own_server.create_database()
    ledger = connect_to(url)
    await ledger.database.upgrade(url)
    with operator(url) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        connection.execute("SELECT pg_reload_conf()")
        first = asyncio.ensure_future(ledger.enter(said(1), delivery()))
        await waits(connection)
        connection.execute(f"SELECT pg_terminate_backend(pid) {WAITING}")
        with pytest.raises(TryLaterError):
            await first
        assert connection.execute("SELECT count(*) FROM ledger_inbox").fetchone() == (1,)
        second = asyncio.ensure_future(ledger.enter(said(1), delivery(attempt=2)))
        await waits(connection)
        assert not second.done()
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")
        await second
    assert len(await stored(ledger)) == 1
