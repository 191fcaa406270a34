"""A worker of these tests that keeps what was said."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Table, Text, UniqueConstraint, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.inbox import Database, Events, Moment, RowId, new_metadata, rows_of
from shared.streams import Handler
from tests.shared.said import Said

metadata = new_metadata()
entries = Table(
    "ledger_entries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", BigInteger, nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("source", "event_id"),
)


async def enter(connection: AsyncConnection, events: Events[Said]) -> None:
    """Insert a row for each event."""
    rows = [
        {"event_id": delivery.event_id, "source": delivery.source, **event.model_dump()}
        for event, delivery in events
    ]
    await connection.execute(insert(entries), rows)


@dataclass(frozen=True)
class Ledger:
    """One process's hold on the ledger: a test may have several, as there are several processes."""

    database: Database
    enter: Handler[Said]


def new_ledger() -> Ledger:
    """Return a ledger that is not open yet."""
    database = Database("ledger", metadata, "tests.inbox.ledger:migrations")
    return Ledger(database, database.once(undo=rows_of(entries))(enter))
