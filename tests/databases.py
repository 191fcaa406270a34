"""Real databases for tests, PostgreSQL and SQLite; a suite's conftest names those that it uses."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.inbox import Database
from tests.postgres import MISSING, PostgresServer, find_binaries, has_docker

THREAD_GRACE = 5.0

CloseLater = Callable[[Database], None]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that every test of the session shares, each with a database of its own."""
    if find_binaries() is None and not has_docker():
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/backend.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
async def close_later() -> AsyncIterator[CloseLater]:
    """Closes databases after the test, since one that is left keeps the process alive."""
    async with AsyncExitStack() as stack:

        def note(database: Database) -> None:
            stack.push_async_callback(database.close)

        yield note
    # aiosqlite's threads end by themselves, after the call that closed them has returned; one whose
    # connection failed still has an answer to give, and the loop must be there to take it.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, THREAD_GRACE)
