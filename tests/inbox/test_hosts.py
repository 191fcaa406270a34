"""A database that has copies: of several hosts the one is used that takes writes."""

import socket
from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from sqlalchemy import make_url, text

from shared.inbox.engine import make_engine, probe
from shared.inbox.failures import is_away
from shared.settings import DatabaseUrl, load_settings
from tests.postgres import PostgresServer
from tests.servers import free_port


class Settings(BaseModel):
    """One variable."""

    database_url: DatabaseUrl


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a host that takes connections and answers nothing, as one that was frozen."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def url_of(database_url: str, *ports: int, mode: str = "read-write") -> str:
    """Return libpq's address of the same database at several ports."""
    url = make_url(database_url)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    address = (
        f"postgresql://{url.username}:{url.password}@{hosts}/{url.database}"
        f"?target_session_attrs={mode}"
    )
    return load_settings(Settings, {"DATABASE_URL": address}).database_url


def test_several_hosts_are_written_as_the_driver_wants_them() -> None:
    """What libpq separates by commas; what is in SQLAlchemy's form stays as it is."""
    driver = "postgresql+asyncpg://u:p@/d?host=a:5432&host=b:6432&target_session_attrs=read-write"
    for url in ("postgresql://u:p@a,b:6432/d?target_session_attrs=read-write", driver):
        assert load_settings(Settings, {"DATABASE_URL": url}).database_url == driver


async def test_a_silent_host_keeps_nobody_from_the_next(
    postgres: PostgresServer, silent: int
) -> None:
    """One that is down is passed, one that is frozen or cut off too: each has its share of time."""
    database = postgres.create_database()
    there = make_url(database).port or 0
    engine = make_engine(url_of(database, free_port(), silent, there))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE written (id int)"))
    await engine.dispose()


async def test_where_no_host_takes_writes_it_is_waited_for(postgres: PostgresServer) -> None:
    """While a new leader is chosen that is an outage, and nothing that ends a process."""
    database = postgres.create_database()
    there = make_url(database).port or 0
    engine = make_engine(url_of(database, free_port(), there, mode="read-only"))
    with pytest.raises(OSError, match="read-only") as refused:
        await probe(engine)
    await engine.dispose()
    assert is_away(refused.value)
