"""Which copies a database has, and which of them is written to."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STREAMS = "streaming"
"""The state of a copy that has all that the primary has sent it."""
ITSELF = text("""
    SELECT current_setting('server_version'), pg_is_in_recovery(),
        host(inet_server_addr()) || ':' || inet_server_port()
""")
COPIES = text("SELECT state, host(client_addr) FROM pg_stat_replication ORDER BY 2")
"""Source: postgresql.org/docs/current/monitoring-stats.html, pg_stat_replication; who has not the
rights of pg_monitor sees a row for each copy, with nothing in it."""


class DatabaseCopy(NamedTuple):
    """One copy of a database.

    Attributes:
        note: `works`, or the state it is in.
        version: its version; '' where nobody tells.
        role: `primary` or `replica`; '' where there are no copies.
        address: where it is, as the one that is connected to knows it.
    """

    note: str
    version: str
    role: str
    address: str


async def copies_of(connection: AsyncConnection) -> list[DatabaseCopy]:
    """Return the copy that is connected to, then those that follow it.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: the database does not answer.
    """
    if connection.dialect.name == "sqlite":
        version = await connection.scalar(text("SELECT sqlite_version()"))
        return [DatabaseCopy("works", f"SQLite {version}", "", "")]
    version, follows, address = (await connection.execute(ITSELF)).one()
    others = [
        DatabaseCopy("works" if state in {STREAMS, None} else state, "", "replica", where or "")
        for state, where in await connection.execute(COPIES)
    ]
    role = "replica" if follows else "primary" if others else ""
    return [DatabaseCopy("works", version, role, address or ""), *others]
