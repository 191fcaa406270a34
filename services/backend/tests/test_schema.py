"""The migrations: they make the tables that the code uses, once, whoever starts when."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import schema
from backend.commands import CommandStore
from backend.database import patiently
from backend.tables import commands, metadata
from shared.generated.events import Delivery
from shared.generated.schemas import CommandReceived

Connect = Callable[[str], AsyncEngine]

BACKEND = Path(__file__).parents[1]


async def revision(engine: AsyncEngine) -> str | None:
    """Return what the database says its revision is."""
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


def differences(connection: Connection) -> list[object]:
    """Return what Alembic would change to make the database what `backend.tables` says."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_the_tables_that_the_code_uses(engine: AsyncEngine) -> None:
    """Whoever changes `backend.tables` without a migration is told here."""
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_names_of_constraints_are_the_convention(engine: AsyncEngine) -> None:
    """A later migration can drop what it can name."""
    async with engine.connect() as connection:
        keys = await connection.run_sync(
            lambda sync: inspect(sync).get_unique_constraints("commands")
        )
    assert [key["name"] for key in keys] == ["uq_commands_source_event_id"]


async def test_any_number_of_processes_may_start_at_once(
    database_url: str, connect_to: Connect
) -> None:
    """Eight upgrades at the same time: one migrates, the others find it done, none fails."""
    upgrades = (patiently(partial(schema.upgrade, database_url)) for _ in range(8))
    assert await asyncio.gather(*upgrades, return_exceptions=True) == [None] * 8
    newest = ScriptDirectory.from_config(schema.configuration()).get_current_head()
    assert await revision(connect_to(database_url)) == newest


async def test_a_failed_migration_leaves_nothing_behind(
    database_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: after a crash in the middle the next start begins where this one did."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(RuntimeError, match="the power went"):
        await schema.upgrade(database_url)
    engine = connect_to(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == []
    monkeypatch.undo()
    await schema.upgrade(database_url)
    assert await revision(engine) is not None


async def test_a_database_of_a_newer_release_is_left_alone(
    engine: AsyncEngine, database_url: str
) -> None:
    """A rollback starts on the newer schema, which is a superset, and says so."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with structlog.testing.capture_logs() as logs:
        await schema.upgrade(database_url)
    assert await revision(engine) == "9999"
    assert logs[0]["event"] == "the database is newer than this release"


async def test_an_upgrade_keeps_what_was_handled_and_a_rollback_can_write(
    database_url: str, connect_to: Connect
) -> None:
    """Sources came later: a row without one is the bot's, whichever release wrote it and when.

    What the release of before does is written out here, as it knows no sources: it stores an
    event before the upgrade, and another one after a rollback, on the schema of this release.
    """
    engine = connect_to(database_url)
    await schema.upgrade(database_url, "0001")
    await store_as_before(engine, "before")
    await schema.upgrade(database_url)
    await store_as_before(engine, "rolled back")
    store = CommandStore(engine)
    said = CommandReceived(command="/c", args=[], user_id=1, timestamp=datetime.now(UTC))
    for event_id in ("before", "rolled back", "new"):
        await store.store(said, Delivery(event_id, "command_received", "1-0", 2, "/tg_bot"))
    await store_as_before(engine, "new")
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(commands.c.event_id, commands.c.source).order_by(commands.c.id)
        )
        assert [tuple(row) for row in rows] == [
            (event_id, "/tg_bot") for event_id in ("before", "rolled back", "new")
        ]


async def store_as_before(engine: AsyncEngine, event_id: str) -> None:
    """Store an event as a release without sources does: where it is known, nothing happens."""
    moment = {"sqlite": "2026-01-31 12:00:00", "postgresql": datetime.now(UTC)}[engine.name]
    seen = text(
        "INSERT INTO inbox (handler, event_id, handled_at) VALUES ('store_command', :id, :moment)"
        " ON CONFLICT DO NOTHING RETURNING event_id"
    )
    effect = text(
        "INSERT INTO commands (event_id, user_id, command, args, sent_at, stored_at)"
        " VALUES (:id, 1, '/c', '[]', :moment, :moment)"
    )
    values = {"id": event_id, "moment": moment}
    async with engine.begin() as connection:
        if (await connection.execute(seen, values)).scalars().all():
            await connection.execute(effect, values)


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    """An image installs the wheel and nothing else of the repository."""
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=BACKEND, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for path in (BACKEND / "src/backend/migrations").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(BACKEND / "src").as_posix() in names
