"""What the backend does with `command_received`: it stores each command once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.database import now, storable
from backend.inbox import Inbox
from backend.tables import commands
from shared.generated.events import Delivery, Limits, subscribe_command_received
from shared.generated.schemas import CommandReceived

GROUP = "backend"
"""The consumer group; every backend process is a member."""
HANDLER = "store_command"
LIMITS = Limits(in_hand=128, concurrency=128)
"""Commands that wait for the database together share one transaction."""


class CommandStore:
    """Stores commands in the table `commands`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._inbox = Inbox(engine, HANDLER, insert_commands)

    async def store(self, event: CommandReceived, delivery: Delivery) -> None:
        """Store the command, unless an earlier delivery of the same event has.

        Raises:
            TryLaterError: The database cannot take it now.
            sqlalchemy.exc.DBAPIError: The database will never take it.
        """
        await self._inbox.take(delivery, event)

    async def forget(self, before: datetime) -> int:
        """Forget which events were handled before a time; the commands themselves stay."""
        return await self._inbox.forget(before)

    async def close(self) -> None:
        """Finish what is being stored."""
        await self._inbox.close()


async def insert_commands(
    connection: AsyncConnection, events: Sequence[tuple[Delivery, CommandReceived]]
) -> None:
    """Insert a row for each command, given with its delivery."""
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
        for delivery, event in events
    ]
    await connection.execute(insert(commands), rows)


def subscribe(engine: AsyncEngine) -> CommandStore:
    """Register the handler with the broker; it runs once the broker's consumers are started."""
    store = CommandStore(engine)
    subscribe_command_received(group=GROUP, limits=LIMITS)(store.store)
    return store
