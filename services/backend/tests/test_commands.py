"""The subscriber's handler: what it stores of a command. The inbox has tests of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import RowMapping, select

from backend.commands import database, store_command
from backend.tables import commands
from shared.generated.events import Delivery
from shared.generated.schemas import CommandReceived

SENT = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def opened(database_url: str) -> AsyncIterator[None]:
    """The backend's own database, open."""
    await database.open(database_url)
    yield
    await database.close()


def command(text: str = "/command a b", **changes: object) -> CommandReceived:
    """Return a command as the bot publishes it."""
    said = CommandReceived(command=text, args=text.split()[1:], user_id=42, timestamp=SENT)
    return said.model_copy(update=changes)


async def store(event: CommandReceived, event_id: str = "1:100") -> None:
    """Hand the event over as the consumer does."""
    await store_command(event, Delivery(event_id, "command_received", "1-0", 1, "/tg_bot"))


async def stored() -> list[RowMapping]:
    """Return every stored command."""
    async with database.begin() as connection:
        return list((await connection.execute(select(commands))).mappings())


async def test_a_command_is_stored_once_with_everything_it_says() -> None:
    """Text, arguments, user, time and event id stand in the row."""
    for _ in range(2):
        await store(command("/command привет 🚀"), "1:7")
    (row,) = await stored()
    assert (row["source"], row["event_id"]) == ("/tg_bot", "1:7")
    assert row["user_id"] == 42
    assert row["command"] == "/command привет 🚀"
    assert row["args"] == ["привет", "🚀"]
    assert row["sent_at"] == SENT


async def test_a_time_with_another_offset_is_the_same_moment() -> None:
    """A publisher in another time zone means the same instant."""
    there = SENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await store(command(timestamp=there))
    (row,) = await stored()
    assert row["sent_at"] == SENT


@pytest.mark.parametrize(
    "said",
    [
        "/command " + "я" * 4087,
        "/command \u202e\u05d0\u05d1\u202c \u0645\u0631",
        "/command 👩‍👩‍👧‍👦 \ud7ff",
        "/",
        "",
    ],
)
async def test_any_text_is_kept_as_it_is(said: str) -> None:
    """The longest message, right-to-left text, joined emoji, nothing at all."""
    await store(command(said))
    (row,) = await stored()
    assert row["command"] == said
    assert row["args"] == said.split()[1:]


async def test_a_nul_does_not_keep_a_command_from_being_stored() -> None:
    """PostgreSQL's text holds no NUL: it is replaced, and the rest is kept."""
    await store(command("/command a\0b c\0"))
    (row,) = await stored()
    assert row["command"] == "/command a\ufffdb c\ufffd"
    assert row["args"] == ["a\ufffdb", "c\ufffd"]


async def test_the_smoke_test_of_a_deploy_is_undone(database_url: str) -> None:
    """As the deploy calls it, inside the backend's container: it prints how often it counted."""
    await store(command("/smoke"), "smoke-1")
    await store(command("/kept"), "kept")
    variables = {"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1"}
    run = (sys.executable, "-m", "backend.undo", "smoke-1")
    finished = await asyncio.to_thread(
        subprocess.run, run, env=variables, capture_output=True, text=True, check=True
    )
    assert finished.stdout == "1\n"
    assert [row["event_id"] for row in await stored()] == ["kept"]
