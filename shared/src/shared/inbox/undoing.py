"""`python -m SERVICE.undo EVENT_ID`: undo what one event has done, and print how often it had.

For events that only prove that everything works: the smoke test of a deploy publishes one and has
every subscriber undo it.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from shared.inbox.database import Database
from shared.process import describe
from shared.settings import SettingsError, exit_with, load_settings

S = TypeVar("S", bound=BaseModel)


def run_undo(
    database: Database, model: type[S], address: Callable[[S], str], arguments: Sequence[str]
) -> int:
    """Do what the command line says; return 0, 64 where it is wrong, 69 without the database.

    Args:
        database: what the service has in its database; its handlers have to be imported.
        model: the service's settings.
        address: which of them says where the database is.
        arguments: the command line, which is one event's id.
    """
    if len(arguments) != 1:
        sys.stderr.write(f"usage: python -m {database.service}.undo EVENT_ID\n")
        return os.EX_USAGE
    try:
        url = address(load_settings(model))
        sys.stdout.write(f"{asyncio.run(_undo(database, url, arguments[0]))}\n")
    except SettingsError as error:
        exit_with(error, database.service)
    except (SQLAlchemyError, OSError) as error:
        reason = describe(error)
        sys.stderr.write(f"{database.service}: the event is not undone: {reason}\n")
        return os.EX_UNAVAILABLE
    return os.EX_OK


async def _undo(database: Database, url: str, event_id: str) -> int:
    database.connect(url)
    try:
        return await database.undo(event_id)
    finally:
        await database.close()
