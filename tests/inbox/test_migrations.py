"""The migrations: they make the tables that the code uses, once, whoever starts when."""

import asyncio
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import structlog
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from shared.inbox import Database, UnusableDatabaseError
from shared.inbox.engine import patiently
from shared.inbox.schema import Revisions
from shared.streams import Delivery
from tests.inbox import audit
from tests.inbox.ledger import Ledger, entries, new_ledger
from tests.shared.said import said

Connect = Callable[[str], Ledger]

ROOT = Path(__file__).resolve().parents[2]
INI = """
[alembic]
script_location = shared.inbox:migrations
version_locations = {folder}
path_separator = newline
database = tests.inbox.audit:database
"""


async def revision(database: Database, line: Revisions) -> str | None:
    """Return how far a line of revisions has come."""
    async with database.begin() as connection:
        return await connection.run_sync(line.current)


async def tables(database: Database) -> set[str]:
    """Return the names of the tables that there are."""
    async with database.begin() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    return set(names)


async def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger) -> None:
    """Whoever changes a table without a revision is told here, of the inbox too."""
    assert await ledger.database.differences() == []
    change = text("ALTER TABLE ledger_entries ADD COLUMN extra integer")
    lost = text("ALTER TABLE ledger_inbox DROP COLUMN handled_at")
    async with ledger.database.begin() as connection:
        await connection.execute(change)
        await connection.execute(lost)
    missing, extra = await ledger.database.differences()
    assert "handled_at" in missing
    assert "extra" in extra


async def test_any_number_of_processes_may_start_at_once(
    database_url: str, connect_to: Connect
) -> None:
    """Eight upgrades at the same time: one migrates, the others find it done, none fails."""
    ledger = connect_to(database_url)
    work = partial(ledger.database.upgrade, database_url)
    outcomes = await asyncio.gather(*(patiently(work) for _ in range(8)), return_exceptions=True)
    assert outcomes == [None] * 8
    line = ledger.database.revisions
    newest = ScriptDirectory.from_config(line.configuration()).get_current_head()
    assert await revision(ledger.database, line) == newest


async def test_a_failed_migration_leaves_nothing_behind(
    database_url: str, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing, the inbox too: the next start begins where this one did."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    ledger = connect_to(database_url)
    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(RuntimeError, match="the power went"):
        await ledger.database.upgrade(database_url)
    assert await tables(ledger.database) == set()
    monkeypatch.undo()
    await ledger.database.upgrade(database_url)
    assert await revision(ledger.database, ledger.database.revisions) == "0001"


async def test_a_database_of_a_newer_release_is_left_alone(
    ledger: Ledger, database_url: str
) -> None:
    """A rollback starts on the newer schema, which is a superset, and says so."""
    newer = text("UPDATE ledger_alembic_version SET version_num = '9999'")
    async with ledger.database.begin() as connection:
        await connection.execute(newer)
    with structlog.testing.capture_logs() as logs:
        await ledger.database.upgrade(database_url)
    assert await revision(ledger.database, ledger.database.revisions) == "9999"
    assert logs[0]["event"] == "the database is newer than this release"


async def test_two_services_share_a_database(ledger: Ledger, database_url: str) -> None:
    """Each has an inbox, revisions and handlers of its own, whatever they are called."""
    await audit.database.open(database_url)
    try:
        for _ in range(2):
            await ledger.enter(said(7), Delivery("1", "said", "1-0", 1, "/tests"))
            await audit.enter(said(7), Delivery("1", "said", "1-0", 1, "/tests"))
        assert await revision(ledger.database, ledger.database.revisions) == "0001"
        assert await revision(ledger.database, audit.database.revisions) == "0002"
        own = {"entries", "inbox", "alembic_version", "inbox_alembic_version"}
        assert await tables(ledger.database) == {
            *(f"ledger_{name}" for name in own),
            *(f"audit_{name}" for name in own - {"entries"} | {"totals"}),
        }
        assert await audit.database.undo("1") == 0  # it has no undo, and keeps what it counted
        async with ledger.database.begin() as connection:
            assert len((await connection.execute(select(entries))).all()) == 1
            assert len((await connection.execute(select(audit.totals))).all()) == 1
        assert await ledger.database.undo("1") == 1
    finally:
        await audit.database.close()


async def test_a_table_of_another_service_is_told(database_url: str, connect_to: Connect) -> None:
    """One line with the name that is taken; nothing of the other's is touched."""
    other = connect_to(database_url)
    async with other.database.begin() as connection:
        await connection.execute(text("CREATE TABLE ledger_entries (mine integer)"))
    ledger = new_ledger()
    with pytest.raises(UnusableDatabaseError) as refused:
        await ledger.database.open(database_url)
    await ledger.database.close()
    assert "whose tables cannot be brought to this release" in str(refused.value)
    assert "ledger_entries" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert await tables(other.database) == {"ledger_entries"}


async def test_the_command_line_writes_a_revision(
    database_url: str, connect_to: Connect, tmp_path: Path
) -> None:
    """Alembic's own: it sees what the service's tables lack, and nothing of other services'."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    first = ROOT / "tests/inbox/audit/migrations/0001_totals.py"
    (folder / first.name).write_bytes(first.read_bytes())
    ledger = connect_to(database_url)
    await ledger.database.upgrade(database_url)
    (tmp_path / "alembic.ini").write_text(INI.format(folder=folder))
    env = {**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}

    def alembic(*words: str) -> None:
        subprocess.run((sys.executable, "-m", "alembic", *words), cwd=tmp_path, env=env, check=True)

    await asyncio.to_thread(alembic, "upgrade", "head")
    command = ("revision", "--autogenerate", "--rev-id", "0002", "-m", "a mark")
    await asyncio.to_thread(alembic, *command)
    written = (folder / "0002_a_mark.py").read_text()
    assert "add_column(sa.Column('mark', sa.Text()" in written
    assert "drop_table" not in written


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    """An image installs the wheel of the runtime and nothing else of the repository."""
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=ROOT / "shared", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in ("env.py", "script.py.mako", "versions/0001_inbox.py"):
        assert f"shared/inbox/migrations/{name}" in names
