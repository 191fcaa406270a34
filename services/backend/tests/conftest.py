"""Real databases, the API over HTTP, and the backend as a process of its own."""

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from backend.app import create_app
from backend.tables import metadata
from shared.inbox import Database
from tests.databases import CloseLater, close_later, database_url, postgres, sqlite_url
from tests.servers import RedisServer

__all__ = ["close_later", "database_url", "postgres", "sqlite_url"]

Connect = Callable[[str], Database]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def connect_to(close_later: CloseLater) -> Connect:
    """Make the backend's hold on a database, as another process has it."""

    def connect(url: str) -> Database:
        database = Database("backend", metadata, "backend:migrations", prefix="")
        database.connect(url)
        close_later(database)
        return database

    return connect


@pytest.fixture
async def database(database_url: str, connect_to: Connect) -> Database:
    """A database with the schema of this release."""
    database = connect_to(database_url)
    await database.upgrade(database_url)
    return database


@pytest.fixture
async def api(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without the process around it."""
    transport = httpx.ASGITransport(create_app(database), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        yield client
