"""Where Alembic enters, from `shared.inbox.schema` or from its own command line.

For the command line a service's alembic.ini says `database = package.module:name`, where its
`Database` is; the database itself is the one that DATABASE_URL names.
"""

import asyncio
from importlib import import_module
from typing import Any

from alembic import context
from pydantic import BaseModel
from sqlalchemy import Connection

from shared.inbox.engine import make_engine
from shared.settings import DatabaseUrl, load_settings


class Settings(BaseModel):
    """What the command line needs."""

    database_url: DatabaseUrl


def migrate(connection: Connection, options: dict[str, Any]) -> None:
    """Run the chosen revisions on a connection, inside its transaction."""
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_named_database() -> None:
    """Run the chosen revisions on the database of the environment."""
    module, _, name = (context.config.get_main_option("database") or "").partition(":")
    database = getattr(import_module(module), name)
    engine = make_engine(load_settings(Settings).database_url, statement_timeout=None)
    async with engine.begin() as connection:
        await connection.run_sync(migrate, database.revisions.options())
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    asyncio.run(migrate_named_database())
else:
    migrate(given, context.config.attributes["options"])
