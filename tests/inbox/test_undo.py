"""An event that only proved something leaves nothing behind."""

import pytest
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.inbox import Events, run_undo
from shared.settings import DatabaseUrl
from shared.streams import Delivery
from tests.inbox.ledger import Ledger, entries, new_ledger
from tests.shared.said import Said, said


class Settings(BaseModel):
    """Where the ledger is."""

    database_url: DatabaseUrl


def undo(ledger: Ledger, *words: str) -> int:
    """Do what the command line says."""
    return run_undo(ledger.database, Settings, lambda settings: settings.database_url, words)


async def left(ledger: Ledger) -> list[list[str]]:
    """Return the event ids in the ledger and in its inbox."""
    async with ledger.database.begin() as connection:
        return [
            list((await connection.execute(select(table.c.event_id))).scalars())
            for table in (entries, ledger.database.inbox)
        ]


async def test_an_event_is_undone_and_no_other(ledger: Ledger) -> None:
    """Its row and its mark are gone, so that it would count again; later there is none."""
    for event_id in ("kept", "smoke-1"):
        await ledger.enter(said(1), Delivery(event_id, "said", "1-0", 1, "/deploy"))
    assert await ledger.database.undo("smoke-1") == 1
    assert await ledger.database.undo("smoke-1") == 0
    assert await left(ledger) == [["kept"], ["kept"]]


async def test_what_nobody_can_undo_counts_as_nothing(ledger: Ledger) -> None:
    """The mark of a handler that has not said how is gone all the same."""

    async def note(connection: AsyncConnection, events: Events[Said]) -> None:
        """Leave nothing behind."""

    await ledger.database.once()(note)(said(1), Delivery("smoke-1", "said", "1-0", 1, "/deploy"))
    assert await left(ledger) == [[], ["smoke-1"]]
    assert await ledger.database.undo("smoke-1") == 0
    assert await left(ledger) == [[], []]


async def test_an_undo_that_fails_has_undone_nothing(ledger: Ledger) -> None:
    """The mark stays while the effect does: the event counts no second time."""
    await ledger.enter(said(1), Delivery("smoke-2", "said", "1-0", 1, "/deploy"))

    async def fail(*_: object) -> int:
        raise RuntimeError("no")

    ledger.database._inboxes["enter"]._undo = fail
    with pytest.raises(RuntimeError, match="no"):
        await ledger.database.undo("smoke-2")
    assert await left(ledger) == [["smoke-2"], ["smoke-2"]]


def test_a_wrong_call_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the exit code for usage."""
    assert undo(new_ledger()) == 64
    assert "usage: python -m ledger.undo" in capsys.readouterr().err


def test_a_database_that_is_away_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line without the password, and the exit code for unavailable."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://me:hidden@127.0.0.1:1/none")
    assert undo(new_ledger(), "smoke-3") == 69
    errors = capsys.readouterr().err
    assert "the event is not undone" in errors
    assert len(errors.splitlines()) == 1
    assert "hidden" not in errors
