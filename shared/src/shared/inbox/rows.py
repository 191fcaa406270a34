"""Rows that are there once, and the removal of those that one event has left."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Undo = Callable[[AsyncConnection, str], Awaitable[int]]
"""Takes back what the event with an id has done; returns how often it had done it."""


async def insert_new(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *key: Column[Any],
) -> list[tuple[Any, ...]]:
    """Insert the rows whose unique key is not there yet, and return the `key` of each of these.

    The unique constraint decides, so any number of writers at once agree on one of them.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*key)
    return [tuple(row) for row in await connection.execute(statement, list(rows))]


def rows_of(table: Table) -> Undo:
    """Return the undo of an effect whose rows keep their event's id in the column `event_id`."""

    async def remove(connection: AsyncConnection, event_id: str) -> int:
        removed = await connection.execute(delete(table).where(table.c.event_id == event_id))
        return removed.rowcount

    return remove
