"""Brings a database's schema to this release's, before anything is served.

A service has revisions of its own, and the inbox that it has from here has some too. Each of the
two is counted in a table of its own, and both are run in one transaction.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.inbox.engine import make_engine

log = structlog.get_logger(__name__)

LOCK = 0x4865_7261_6C64
"""Key of the advisory lock, the bytes of "Herald": one process migrates, others wait for it."""

HERE = "shared.inbox:migrations"


@dataclass(frozen=True, slots=True)
class Revisions:
    """A line of revisions.

    Attributes:
        folder: where they are, as `package:folder`.
        table: what counts how far a database has come.
        metadata: what they make.
    """

    folder: str
    table: str
    metadata: MetaData

    def configuration(self) -> Config:
        """Return Alembic's configuration; the environment is ours for every line."""
        config = Config()
        config.set_main_option("script_location", HERE)
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", self.folder)
        return config

    def options(self) -> dict[str, Any]:
        """Return what Alembic is to know of the database: only our own tables are looked at."""
        names = set(self.metadata.tables)
        return {
            "target_metadata": self.metadata,
            "version_table": self.table,
            "include_name": lambda name, kind, _parents: kind != "table" or name in names,
            "render_as_batch": True,
        }

    def run(self, connection: Connection, revision: str = "head") -> None:
        """Run those that the database has not had; one of a newer release is left as it is."""
        config = self.configuration()
        scripts = ScriptDirectory.from_config(config)
        before = self.current(connection)
        if before == scripts.get_current_head():
            return
        if before is not None and not _is_known(scripts, before):
            known = scripts.get_current_head()
            log.warning("the database is newer than this release", revision=before, known=known)
            return
        config.attributes.update(connection=connection, options=self.options())
        command.upgrade(config, revision)
        after = self.current(connection)
        log.info("database migrated", table=self.table, before=before, after=after)

    def differences(self, connection: Connection) -> list[str]:
        """Return what Alembic would change to make the database what the code says."""
        options = {**self.options(), "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        return [str(change) for change in compare_metadata(context, self.metadata)]

    def current(self, connection: Connection) -> str | None:
        """Return how far the database has come."""
        context = MigrationContext.configure(connection, opts={"version_table": self.table})
        return context.get_current_revision()


async def upgrade(url: str, *lines: Revisions) -> None:
    """Run every line of revisions up to its end; all or none.

    Any number of processes may start at once: the first one migrates, the others find it done.
    """
    engine = make_engine(url, statement_timeout=None)
    try:
        async with engine.begin() as connection:
            await _take_turn(connection)
            for line in lines:
                await connection.run_sync(line.run)
    finally:
        await engine.dispose()


async def _take_turn(connection: AsyncConnection) -> None:
    """Hold other processes off until this transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    else:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False
