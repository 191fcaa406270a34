"""The database: PostgreSQL or SQLite behind one engine."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backend.failures import is_away, is_of_database
from shared.process import Backoff, Outage, describe, until_it_works
from shared.settings import SettingsError

CONNECT_TIMEOUT = 5.0
"""Seconds for one try to connect, and for a connection of the pool to become free."""
STATEMENT_TIMEOUT = 10.0
"""Seconds for one statement of PostgreSQL."""
LOCK_TIMEOUT = 10.0
"""Seconds that SQLite waits for another writer."""
LAST_RETRY = 5.0
"""Seconds between two tries to reach the database, at most."""


class UnusableDatabaseError(SettingsError):
    """The database answers, and says that it will never do; the text is for the operator."""


def make_engine(url: str, *, statement_timeout: float | None = STATEMENT_TIMEOUT) -> AsyncEngine:
    """Return an engine for a `DATABASE_URL`; nothing is connected to yet.

    SQLite runs in WAL mode and syncs every commit: what was committed survives a power cut.
    """
    if make_url(url).get_backend_name() == "sqlite":
        options = {"timeout": LOCK_TIMEOUT}
        engine = create_async_engine(url, json_serializer=_json, connect_args=options)
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        return engine
    return create_async_engine(
        url,
        json_serializer=_json,
        pool_pre_ping=True,
        pool_timeout=CONNECT_TIMEOUT,
        connect_args={"timeout": CONNECT_TIMEOUT, "command_timeout": statement_timeout},
    )


async def patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do some work on a database; while that is away, back off, say why, and do it again."""
    outage = Outage("waiting for the database", "the database answers")
    await until_it_works(work, outage, is_away, backoff=Backoff(0.1, LAST_RETRY))


async def wait_until_reachable(engine: AsyncEngine) -> None:
    """Return once the database answers.

    Raises:
        UnusableDatabaseError: It refuses for a reason that no waiting mends, such as the password.
    """
    try:
        await patiently(partial(probe, engine))
    except Exception as error:
        if not is_of_database(error):
            raise
        raise UnusableDatabaseError(
            f"DATABASE_URL names {_shown(engine)}, which cannot be used: {describe(error)}"
        ) from error


async def probe(engine: AsyncEngine) -> None:
    """Ask the database for nothing; raises whatever keeps it from answering."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def insert_new(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *key: Column[Any],
) -> list[tuple[Any, ...]]:
    """Insert the rows whose unique key is not there yet, and return the `key` of each of these.

    The unique constraint decides, so any number of writers at once agree on one of them.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*key)
    return [tuple(row) for row in await connection.execute(statement, list(rows))]


def now() -> datetime:
    """Return the time that goes into a row."""
    return datetime.now(UTC)


def storable(value: str) -> str:
    """Return text as a column takes it: NUL, which PostgreSQL refuses, becomes U+FFFD."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _shown(engine: AsyncEngine) -> str:
    return engine.url.render_as_string(hide_password=True)
