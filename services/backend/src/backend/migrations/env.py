"""Where Alembic enters, from `backend.schema` or from its own command line.

For the command line (see alembic.ini) the database is the one that DATABASE_URL names.
"""

import asyncio

from alembic import context
from sqlalchemy import Connection

from backend.database import make_engine
from backend.settings import Settings
from backend.tables import metadata
from shared.settings import load_settings


def migrate(connection: Connection) -> None:
    """Run the chosen revisions on a connection, inside its transaction."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_named_database() -> None:
    """Run the chosen revisions on the database of the environment."""
    engine = make_engine(load_settings(Settings).database_url, statement_timeout=None)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    asyncio.run(migrate_named_database())
else:
    migrate(given)
