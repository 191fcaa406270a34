"""The migrations: they make the tables that the code uses, once, whoever starts when."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import schema
from backend.database import patiently
from backend.tables import metadata

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
    assert [key["name"] for key in keys] == ["uq_commands_event_id"]


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


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    """An image installs the wheel and nothing else of the repository."""
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=BACKEND, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for path in (BACKEND / "src/backend/migrations").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(BACKEND / "src").as_posix() in names
