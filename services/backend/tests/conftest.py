"""Real databases, a real Redis, the API over HTTP, and the backend as a process of its own."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import schema
from backend.app import create_app
from backend.database import make_engine
from tests.postgres import MISSING, PostgresServer, find_binaries, has_docker
from tests.servers import RedisServer

THREAD_GRACE = 5.0


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
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer() as server:
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
async def connect_to() -> AsyncIterator[Callable[[str], AsyncEngine]]:
    """Make engines; all of them are disposed of, since one that is left keeps the process alive."""
    async with AsyncExitStack() as stack:

        def connect(url: str) -> AsyncEngine:
            engine = make_engine(url)
            stack.push_async_callback(engine.dispose)
            return engine

        yield connect
    # aiosqlite's threads end by themselves, after the call that closed them has returned; one whose
    # connection failed still has an answer to give, and the loop must be there to take it.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, THREAD_GRACE)


@pytest.fixture
async def engine(database_url: str, connect_to: Callable[[str], AsyncEngine]) -> AsyncEngine:
    """An engine on a database with the schema of this release."""
    await schema.upgrade(database_url)
    return connect_to(database_url)


@pytest.fixture
async def api(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without the process around it."""
    transport = httpx.ASGITransport(create_app(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        yield client
