"""Another worker of these tests, which counts what was said; it shares the ledger's database."""

from sqlalchemy import BigInteger, Column, Table, Text, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.inbox import Database, Events, new_metadata
from tests.shared.said import Said

metadata = new_metadata()
totals = Table(
    "audit_totals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", Text),
)
database = Database("audit", metadata, "tests.inbox.audit:migrations")


@database.once(handler="enter")  # of the same name as the ledger's
async def enter(connection: AsyncConnection, events: Events[Said]) -> None:
    """Insert the number of each event."""
    await connection.execute(insert(totals), [{"number": event.number} for event, _ in events])
