"""What the database's errors mean, held to real errors of real databases."""

import socket
from collections.abc import Callable

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.inbox import UnusableDatabaseError, now
from shared.inbox.engine import probe
from shared.inbox.failures import blames_data, is_away, is_of_database
from shared.process import describe
from tests.inbox.ledger import Ledger, entries, new_ledger
from tests.postgres import PostgresServer
from tests.servers import free_port

Connect = Callable[[str], Ledger]

ROW = {"event_id": "e", "source": "s", "number": 1, "text": "t", "at": now()}


async def error_of(engine: AsyncEngine, *statements: object) -> BaseException:
    """Return the error that statements end in."""
    try:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(statement)  # type: ignore[call-overload]
    except Exception as error:  # noqa: BLE001 — the error is what is asked for
        return error
    raise AssertionError("it worked")


async def test_a_database_that_nobody_listens_for_is_away(connect_to: Connect) -> None:
    """Connection refused passes when the server starts."""
    engine = connect_to(f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d").database.engine
    with pytest.raises(OSError, match="onnect") as refused:
        await probe(engine)
    assert is_away(refused.value)
    assert is_of_database(refused.value)


async def test_a_server_name_that_is_unknown_is_away(connect_to: Connect) -> None:
    """In Compose a name is unknown until its container runs."""
    engine = connect_to("postgresql+asyncpg://u:p@nowhere.invalid/d").database.engine
    with pytest.raises(socket.gaierror) as unknown:
        await probe(engine)
    assert is_away(unknown.value)


async def test_a_server_that_accepts_and_never_answers_is_away(
    connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung server costs one time-out a try."""
    monkeypatch.setattr("shared.inbox.engine.CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+asyncpg://u:p@127.0.0.1:{silent.getsockname()[1]}/d"
        engine = connect_to(url).database.engine
        with pytest.raises(TimeoutError) as hung:
            await probe(engine)
    assert is_away(hung.value)


async def test_a_refused_password_is_no_absence(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """No waiting mends it: the operator is told, without the password."""
    url = postgres.create_database().replace(postgres.password, "wr0ng")
    with pytest.raises(UnusableDatabaseError) as unusable:
        await new_ledger().database.open(url)
    assert "password authentication failed" in str(unusable.value)
    assert "DATABASE_URL" in str(unusable.value)
    assert "wr0ng" not in str(unusable.value)
    assert "\n" not in str(unusable.value)


async def test_a_database_that_does_not_exist_is_no_absence(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Nor does waiting create it."""
    with pytest.raises(UnusableDatabaseError, match="does not exist"):
        await new_ledger().database.open(postgres.url("nowhere"))


async def test_a_folder_that_does_not_exist_is_no_absence(connect_to: Connect) -> None:
    """SQLite makes files, not folders."""
    with pytest.raises(UnusableDatabaseError, match="unable to open database file"):
        await new_ledger().database.open("sqlite+aiosqlite:////nowhere/at/all.db")


async def test_a_missing_table_blames_neither_the_data_nor_the_way(ledger: Ledger) -> None:
    """The release and the schema do not match: the event waits, the request fails."""
    error = await error_of(ledger.database.engine, text("SELECT * FROM nowhere"))
    assert is_of_database(error)
    assert not is_away(error)
    assert not blames_data(error)


async def test_a_broken_constraint_blames_the_data(ledger: Ledger) -> None:
    """A second row under one key, a NULL where none may be."""
    engine, twice = ledger.database.engine, insert(entries).values(**ROW)
    duplicate = await error_of(engine, twice, twice)
    null = await error_of(engine, insert(entries).values({**ROW, "text": None}))
    assert blames_data(duplicate)
    assert blames_data(null)


async def test_a_value_beyond_its_type_blames_the_data(
    postgres: PostgresServer, connect_to: Connect
) -> None:
    """Whether the driver refuses it or the server does."""
    engine = connect_to(postgres.create_database()).database.engine
    by_driver = await error_of(engine, text("SELECT CAST(:n AS bigint)").bindparams(n=2**70))
    by_server = await error_of(engine, text("SELECT CAST('9' || repeat('9', 30) AS bigint)"))
    nul = await error_of(engine, text("SELECT CAST(:t AS text)").bindparams(t="a\0b"))
    for error in (by_driver, by_server, nul):
        assert is_of_database(error)
        assert blames_data(error), error
        assert not is_away(error)


async def test_a_description_is_one_line_without_statement_and_values(
    ledger: Ledger,
) -> None:
    """Errors go to the log, and what a user wrote does not."""
    secret = insert(entries).values({**ROW, "event_id": "hush"})
    error = await error_of(ledger.database.engine, secret, secret)
    assert isinstance(error, SQLAlchemyError)
    assert "hush" not in describe(error)
    assert "INSERT" not in describe(error)
    assert "\n" not in describe(error)


def test_an_error_of_our_own_is_not_the_databases() -> None:
    """A mistake in the handler counts against the delivery limit."""
    assert not is_of_database(ValueError("x"))
    assert not is_away(KeyError("x"))
    assert not blames_data(TypeError("x"))
