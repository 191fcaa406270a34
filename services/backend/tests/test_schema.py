"""The backend's tables, and the databases of its releases of before."""

import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from backend.commands import database, store_command
from backend.tables import commands
from shared.generated.events import Delivery
from shared.generated.schemas import CommandReceived
from shared.inbox.schema import Revisions, upgrade

BACKEND = Path(__file__).parents[1]
BEFORE = Revisions(
    str(BACKEND / "tests/before/migrations"), "alembic_version", database.revisions.metadata
)
"""The revisions as they were when the inbox was the backend's own."""


@pytest.fixture(autouse=True)
async def connected(database_url: str) -> AsyncIterator[None]:
    """The backend's own database, not migrated yet."""
    database.connect(database_url)
    yield
    await database.close()


async def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    """Whoever changes `backend.tables` without a migration is told here."""
    await database.upgrade(database_url)
    assert await database.differences() == []
    async with database.begin() as connection:
        keys = await connection.run_sync(lambda it: inspect(it).get_unique_constraints("commands"))
    assert [key["name"] for key in keys] == ["uq_commands_source_event_id"]


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_a_database_of_before_keeps_what_was_handled_and_a_rollback_can_write(
    revision: str, database_url: str
) -> None:
    """What the release of before does is written out here; each event counts once.

    It stores an event before the upgrade, and another one after a rollback, on the schema of this
    release. The first knew no sources: its rows are the bot's, whichever release wrote them.
    """
    store_as_before = {"0001": store_without_source, "0002": store_with_source}[revision]
    async with database.begin() as connection:
        await connection.run_sync(partial(BEFORE.run, revision=revision))
        await store_as_before(connection, "before")
    await database.upgrade(database_url)
    assert await database.differences() == []
    async with database.begin() as connection:
        await store_as_before(connection, "rolled back")
    said = CommandReceived(command="/c", args=[], user_id=1, timestamp=datetime.now(UTC))
    for event_id in ("before", "rolled back", "new"):
        await store_command(said, Delivery(event_id, "command_received", "1-0", 2, "/tg_bot"))
    async with database.begin() as connection:
        await store_as_before(connection, "new")
        rows = await connection.execute(
            select(commands.c.event_id, commands.c.source).order_by(commands.c.id)
        )
        assert [tuple(row) for row in rows] == [
            (event_id, "/tg_bot") for event_id in ("before", "rolled back", "new")
        ]


async def test_the_release_of_before_starts_on_a_database_of_this_one(database_url: str) -> None:
    """A rollback finds its own newest revision and every table."""
    await database.upgrade(database_url)
    await upgrade(database_url, BEFORE)
    async with database.begin() as connection:
        assert await connection.run_sync(BEFORE.current) == "0002"
        await store_with_source(connection, "rolled back")


async def store_without_source(connection: AsyncConnection, event_id: str) -> None:
    """Store an event as the first release did: where it is known, nothing happens."""
    await _store(connection, {"id": event_id}, "", "")


async def store_with_source(connection: AsyncConnection, event_id: str) -> None:
    """Store an event as the release before this one does."""
    await _store(connection, {"id": event_id, "source": "/tg_bot"}, ", source", ", :source")


async def _store(
    connection: AsyncConnection, values: dict[str, object], column: str, value: str
) -> None:
    moments = {"sqlite": "2026-01-31 12:00:00", "postgresql": datetime.now(UTC)}
    values["moment"] = moments[connection.dialect.name]
    seen = text(
        f"INSERT INTO inbox (handler, event_id, handled_at{column})"  # noqa: S608 — our own words
        f" VALUES ('store_command', :id, :moment{value}) ON CONFLICT DO NOTHING RETURNING event_id"
    )
    effect = text(
        f"INSERT INTO commands (event_id, user_id, command, args, sent_at, stored_at{column})"  # noqa: S608
        f" VALUES (:id, 1, '/c', '[]', :moment, :moment{value})"
    )
    if (await connection.execute(seen, values)).scalars().all():
        await connection.execute(effect, values)


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    """An image installs the wheel and nothing else of the repository."""
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=BACKEND, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    revisions = {path.name for path in (BACKEND / "src/backend/migrations").glob("*.py")}
    assert revisions
    assert {f"backend/migrations/{name}" for name in revisions} <= set(names)
