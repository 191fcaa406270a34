"""An event that only proved something leaves nothing behind."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.commands import CommandStore
from backend.forget import forget, main
from backend.tables import commands, inbox
from shared.generated.events import Delivery
from shared.generated.schemas import CommandReceived


async def store(engine: AsyncEngine, *event_ids: str) -> None:
    """Have events stored as the subscriber does."""
    said = CommandReceived(command="/smoke", args=[], user_id=1, timestamp=datetime.now(UTC))
    keeper = CommandStore(engine)
    for event_id in event_ids:
        await keeper.store(said, Delivery(event_id, "command_received", "1-0", 1, "/deploy"))
    await keeper.close()


async def left(engine: AsyncEngine) -> list[list[str]]:
    """Return the event ids in the table of commands and in the inbox."""
    async with engine.connect() as connection:
        return [
            list((await connection.execute(select(table.c.event_id))).scalars())
            for table in (commands, inbox)
        ]


async def test_an_event_is_forgotten_and_no_other(engine: AsyncEngine) -> None:
    """Its row and its mark are gone, so that it would count again; later there is none."""
    await store(engine, "kept", "smoke-1")
    assert await forget(engine, "smoke-1") == 1
    assert await forget(engine, "smoke-1") == 0
    assert await left(engine) == [["kept"], ["kept"]]


async def test_the_command_prints_how_often_it_had_counted(
    engine: AsyncEngine, database_url: str
) -> None:
    """As the deploy calls it, inside the backend's container."""
    await store(engine, "smoke-2")
    variables = {"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1"}
    run = (sys.executable, "-m", "backend.forget", "smoke-2")
    told = await asyncio.to_thread(
        subprocess.run, run, env=variables, capture_output=True, text=True, check=True
    )
    assert told.stdout == "1\n"
    assert await left(engine) == [[], []]


def test_a_wrong_call_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the exit code for usage."""
    assert main([]) == 64
    assert "usage: python -m backend.forget" in capsys.readouterr().err


def test_a_database_that_is_away_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line without the password, and the exit code for unavailable."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://me:hidden@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert main(["smoke-3"]) == 69
    told = capsys.readouterr().err
    assert "the event is not forgotten" in told
    assert len(told.splitlines()) == 1
    assert "hidden" not in told
