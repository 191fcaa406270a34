"""Brings the database's schema to this release's, before anything is served."""

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from backend.database import make_engine

log = structlog.get_logger(__name__)

LOCK = 0x4865_7261_6C64
"""Key of the advisory lock, the bytes of "Herald": one process migrates, others wait for it."""


async def upgrade(url: str, revision: str = "head") -> None:
    """Run the revisions that the database has not had, up to one of them; all or none.

    Any number of processes may start at once: the first one migrates, the others find it done.
    A database that a newer release has migrated is left as it is, so that a rollback can start.
    """
    engine = make_engine(url, statement_timeout=None)
    try:
        async with engine.begin() as connection:
            await _take_turn(connection)
            await connection.run_sync(_run, revision)
    finally:
        await engine.dispose()


def configuration() -> Config:
    """Return Alembic's configuration: the revisions are inside the package."""
    config = Config()
    config.set_main_option("script_location", "backend:migrations")
    return config


async def _take_turn(connection: AsyncConnection) -> None:
    """Hold other processes off until this transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    else:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")


def _run(connection: Connection, revision: str) -> None:
    config = configuration()
    before = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory.from_config(config).get_current_head()
    if before == newest:
        return
    if before is not None and not _is_known(config, before):
        log.warning("the database is newer than this release", revision=before, known=newest)
        return
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    after = MigrationContext.configure(connection).get_current_revision()
    log.info("database migrated", before=before, after=after)


def _is_known(config: Config, revision: str) -> bool:
    try:
        return ScriptDirectory.from_config(config).get_revision(revision) is not None
    except CommandError:
        return False
