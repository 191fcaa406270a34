"""Exactly-once effects: an event's id is stored in the transaction that has its effect.

A handler may be given an event twice. The inbox row decides which time counts: it is inserted
first, and where it is there already, nothing else happens.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.database import insert_once, now
from backend.failures import blames_data, describe, is_of_database
from backend.tables import inbox
from shared.generated.events import TryLater


@asynccontextmanager
async def once(
    engine: AsyncEngine, *, handler: str, event_id: str
) -> AsyncIterator[AsyncConnection | None]:
    """Open the transaction in which a handler has its effect, or give None: it had it before.

    Args:
        engine: The database.
        handler: Who handles; each handler sees each event once.
        event_id: The event.

    Raises:
        TryLater: The database is away, full or not migrated: the event is not to blame.
        sqlalchemy.exc.DBAPIError: The event cannot be stored as it is.
    """
    row = {"handler": handler, "event_id": event_id, "handled_at": now()}
    try:
        async with engine.begin() as connection:
            fresh = await insert_once(connection, inbox, row)
            yield connection if fresh else None
    except Exception as error:
        if is_of_database(error) and not blames_data(error):
            raise TryLater(describe(error)) from error
        raise
