"""`python -m backend.forget EVENT_ID`: undo what one event has done, and print how often it had.

For events that only prove that everything works: the smoke test of a deploy publishes one and has
every subscriber forget it.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.database import make_engine
from backend.settings import Settings
from backend.tables import commands, inbox
from shared.process import describe
from shared.settings import SettingsError, exit_with, load_settings


async def forget(engine: AsyncEngine, event_id: str) -> int:
    """Remove an event's effect and that it was handled; return how many commands it had stored."""
    async with engine.begin() as connection:
        stored = await connection.execute(delete(commands).where(commands.c.event_id == event_id))
        await connection.execute(delete(inbox).where(inbox.c.event_id == event_id))
    return stored.rowcount


async def run(url: str, event_id: str) -> int:
    """Forget an event in the database at a URL."""
    engine = make_engine(url)
    try:
        return await forget(engine, event_id)
    finally:
        await engine.dispose()


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return 0, 64 where it is wrong, 69 without the database."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m backend.forget EVENT_ID\n")
        return os.EX_USAGE
    try:
        settings = load_settings(Settings)
        sys.stdout.write(f"{asyncio.run(run(settings.database_url, arguments[0]))}\n")
    except SettingsError as error:
        exit_with(error, "backend")
    except (SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"backend: the event is not forgotten: {describe(error)}\n")
        return os.EX_UNAVAILABLE
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
