"""What the backend does with `command_received`: it stores each command once."""

import structlog
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.database import now, storable
from backend.inbox import once
from backend.tables import commands
from shared.generated.events import Delivery, subscribe_command_received
from shared.generated.schemas import CommandReceived

log = structlog.get_logger(__name__)

GROUP = "backend"
"""The consumer group; every backend process is a member."""
HANDLER = "store_command"


class CommandStore:
    """Stores commands in the table `commands`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def store(self, event: CommandReceived, delivery: Delivery) -> None:
        """Store the command, unless an earlier delivery of the same event has.

        Raises:
            TryLater: The database cannot take it now.
            sqlalchemy.exc.DBAPIError: The database will never take it.
        """
        event_id = delivery.event_id
        async with once(self._engine, handler=HANDLER, event_id=event_id) as connection:
            if connection is not None:
                row = {
                    "event_id": event_id,
                    "user_id": event.user_id,
                    "command": storable(event.command),
                    "args": [storable(word) for word in event.args],
                    "sent_at": event.timestamp,
                    "stored_at": now(),
                }
                await connection.execute(insert(commands).values(**row))
        log.info("command stored" if connection else "command known", event_id=event_id)


def subscribe(engine: AsyncEngine) -> None:
    """Register the handler with the broker; it runs once the broker's consumers are started."""
    subscribe_command_received(group=GROUP)(CommandStore(engine).store)
