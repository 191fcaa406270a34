"""The way to the database: PostgreSQL or SQLite behind one engine."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched as NotTheLeaderError
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.inbox.failures import is_away, is_of_database
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

    It may name several hosts, each with its port, and which of them is to be had:
    `postgresql+asyncpg://USER:PASSWORD@/DB?host=a:5432&host=b:5432&target_session_attrs=read-write`.

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
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": statement_timeout,
            "async_creator_fn": _connect,
        },
    )


async def patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do some work on a database; while that is away, back off, say why, and do it again."""
    outage = Outage("waiting for the database", "the database answers")
    await until_it_works(work, outage, is_away, backoff=Backoff(0.1, LAST_RETRY))


async def make_usable(engine: AsyncEngine, migrate: Callable[[], Awaitable[None]]) -> None:
    """Return once the database answers and has been migrated.

    Raises:
        UnusableDatabaseError: it refuses for a reason that no waiting mends, such as the password,
            or a table that is another service's.
    """
    steps = (
        ("which cannot be used", partial(probe, engine)),
        ("whose tables cannot be brought to this release", migrate),
    )
    for fault, step in steps:
        try:
            await patiently(step)
        except Exception as error:
            if not is_of_database(error):
                raise
            raise UnusableDatabaseError(
                f"DATABASE_URL names {_shown(engine)}, {fault}: {describe(error)}"
            ) from error


async def probe(engine: AsyncEngine) -> None:
    """Ask the database for nothing; raises whatever keeps it from answering."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def _connect(*, host: str | list[str], port: int | list[int] = 5432, **options: Any) -> Any:
    """Connect; of several hosts to the first that suits, each with its share of the time.

    asyncpg counts one time limit over all of them, which a host that is cut off uses up alone.
    """
    if isinstance(host, str) or isinstance(port, int):
        return await asyncpg.connect(host=host, port=port, **options)
    options["timeout"] /= len(host)
    why: list[str] = []
    for name, number in zip(host, port, strict=True):
        try:
            return await asyncpg.connect(host=name, port=number, **options)
        except (OSError, asyncpg.CannotConnectNowError, NotTheLeaderError) as error:
            why.append(f"{name}: {describe(error)}")
    raise ConnectionError("; ".join(why))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _shown(engine: AsyncEngine) -> str:
    return engine.url.render_as_string(hide_password=True)
