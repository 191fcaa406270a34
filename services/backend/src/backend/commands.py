"""What the backend does with `command_received`: it stores each command once."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from backend.tables import commands, database
from shared.generated.events import subscribe_command_received
from shared.generated.schemas import CommandReceived
from shared.inbox import TOGETHER, Events, now, rows_of, storable

__all__ = ["database", "store_command"]  # the database, once it has its handlers

GROUP = "backend"
"""The consumer group; every backend process is a member."""


@subscribe_command_received(group=GROUP, limits=TOGETHER)
@database.once(undo=rows_of(commands))
async def store_command(connection: AsyncConnection, events: Events[CommandReceived]) -> None:
    """Insert a row for each command."""
    moment = now()
    rows = [
        {
            "event_id": delivery.event_id,
            "source": delivery.source,
            "user_id": event.user_id,
            "command": storable(event.command),
            "args": [storable(word) for word in event.args],
            "sent_at": event.timestamp,
            "stored_at": moment,
        }
        for event, delivery in events
    ]
    await connection.execute(insert(commands), rows)
