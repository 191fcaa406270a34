"""Exactly-once effects: an event's source and id are stored in the transaction of its effect.

A handler may be given an event twice. The inbox row decides which time counts: it is inserted
first, and where it is there already, the event has no effect any more. Events that arrive while a
transaction is under way share the next one, so that a backlog costs a few round trips and one
flush to disk a group, and a single event waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
from sqlalchemy import Column, Table, Text, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.inbox.columns import Moment, new_metadata, now
from shared.inbox.failures import blames_data, is_of_database
from shared.inbox.rows import Undo, insert_new
from shared.process import describe
from shared.streams import Delivery, Limits, TryLaterError
from shared.tracing import current_span, storing
from shared.tracing.conventions import DATABASE

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = structlog.get_logger(__name__)

CLOSE_GRACE = 2.0
"""Seconds that a transaction under way gets at the end of the process."""

TOGETHER = Limits(in_hand=128, concurrency=128)
"""For the subscription of an effect: events that wait for the database share a transaction."""

FORGET_AT_ONCE = 2000
"""Rows that one transaction removes; short ones keep nobody waiting."""

SOURCE_OF_BEFORE = "/tg_bot"
"""Whose events those count as that a release stored which knew no sources: nearly all were the
bot's, and one of them that is delivered again is recognised."""

E = TypeVar("E")

Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Begins a transaction, which is committed at its end."""
Events = Sequence[tuple[E, Delivery]]
"""New events in the order of the stream, each with its delivery."""
Effect = Callable[[AsyncConnection, Events[E]], Awaitable[None]]
"""What new events do, inside a transaction."""


def inbox_table(name: str) -> Table:
    """Return the table of an inbox: which handler has handled the event of which source and id."""
    return Table(
        name,
        new_metadata(),
        Column("handler", Text, primary_key=True),
        Column("source", Text, primary_key=True, server_default=SOURCE_OF_BEFORE),
        Column("event_id", Text, primary_key=True),
        Column("handled_at", Moment, nullable=False),
    )


@dataclass(slots=True)
class _Waiting(Generic[E]):
    """One event, and the handler that waits for its outcome."""

    event: E
    delivery: Delivery
    outcome: asyncio.Future[None] = field(default_factory=asyncio.Future)
    span: "Span | None" = field(default_factory=current_span)


class Inbox(Generic[E]):
    """Lets the events of one handler have their effect, each once.

    Args:
        begin: Begins a transaction on the database of the inbox and of the effect.
        table: The inbox.
        handler: Who handles; every handler sees every event once.
        effect: What an event does.
        undo: Takes that back; without it there is nothing to take back.
    """

    def __init__(
        self,
        begin: Begin,
        table: Table,
        handler: str,
        effect: Effect[E],
        undo: Undo | None = None,
    ) -> None:
        self._begin = begin
        self._table = table
        self._handler = handler
        self._effect = effect
        self._undo = undo
        self._queue: list[_Waiting[E]] = []
        self._writer: asyncio.Task[None] | None = None

    async def take(self, event: E, delivery: Delivery) -> None:
        """Return once the event has had its effect, now or before, and that is durable.

        A caller who is cancelled meanwhile learns nothing; the event may have its effect.

        Raises:
            TryLaterError: The database is away, full or not migrated: the event is not to blame.
            sqlalchemy.exc.DBAPIError: The event cannot be stored as it is.
        """
        waiting = _Waiting(event, delivery)
        self._queue.append(waiting)
        if self._writer is None or self._writer.done():
            # A task of its own: a transaction that others share must not end with one caller.
            self._writer = asyncio.create_task(self._write(), name=f"inbox {self._handler}")
        await waiting.outcome

    async def forget(self, before: datetime) -> int:
        """Forget the events that were handled before a time; return how many there were."""
        inbox = self._table
        mine = (inbox.c.handler == self._handler) & (inbox.c.handled_at < before)
        key = tuple_(inbox.c.source, inbox.c.event_id)
        some = select(inbox.c.source, inbox.c.event_id).where(mine).limit(FORGET_AT_ONCE)
        forgotten = 0
        while True:
            async with self._begin() as connection:
                keys = [tuple(row) for row in await connection.execute(some)]
                await connection.execute(delete(inbox).where(mine & key.in_(keys)))
            forgotten += len(keys)
            if len(keys) < FORGET_AT_ONCE:
                return forgotten

    async def undo(self, event_id: str) -> int:
        """Take back an event's effect and that it was handled; return how often it had counted."""
        inbox = self._table
        async with self._begin() as connection:
            counted = await self._undo(connection, event_id) if self._undo else 0
            mine = (inbox.c.handler == self._handler) & (inbox.c.event_id == event_id)
            await connection.execute(delete(inbox).where(mine))
        return counted

    async def close(self) -> None:
        """Finish what is being written, within `CLOSE_GRACE` seconds."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=CLOSE_GRACE)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            self._writer = None

    async def _write(self) -> None:
        """Settle what waits, a group at a time, until nothing waits."""
        try:
            while self._queue:
                group, self._queue = self._queue, []
                await self._settle(group)
        finally:
            for waiting in self._queue:
                _end(waiting, TryLaterError("the process is stopping"))

    async def _settle(self, group: list[_Waiting[E]]) -> None:
        """Handle a group in one transaction; one event's fault does not touch the others."""
        try:
            await self._transact(group)
        except Exception as error:  # noqa: BLE001 — it goes to whoever waits for it
            if blames_data(error) and len(group) > 1:
                for waiting in group:
                    await self._settle([waiting])
                return
            if is_of_database(error) and not blames_data(error):
                error = TryLaterError(describe(error))
            for waiting in group:
                _end(waiting, error)
        except BaseException:
            for waiting in group:
                _end(waiting, TryLaterError("the process is stopping"))
            raise
        else:
            for waiting in group:
                _end(waiting, None)

    async def _transact(self, group: list[_Waiting[E]]) -> None:
        """Store a group in one transaction, in a span of its own."""
        with storing(self._handler, [waiting.span for waiting in group]) as span:
            await self._store(group, span)

    async def _store(self, group: list[_Waiting[E]], span: "Span | None") -> None:
        # In the order of their keys, so that two processes do not wait for each other in a circle.
        events = {_key(waiting): (waiting.event, waiting.delivery) for waiting in group}
        moment = now()
        rows = [
            {"handler": self._handler, "source": source, "event_id": id_, "handled_at": moment}
            for source, id_ in sorted(events)
        ]
        key = (self._table.c.source, self._table.c.event_id)
        async with self._begin() as connection:
            if span is not None:
                span.set_attribute(DATABASE, connection.dialect.name)
            added = set(await insert_new(connection, self._table, rows, *key))
            new = [identity for identity in events if identity in added]
            if new:
                await self._effect(connection, [events[identity] for identity in new])
            else:
                await self._write_again(connection, rows[0])
        fresh = [event_id for _, event_id in new]
        log.info("events handled", handler=self._handler, new=fresh, known=len(events) - len(new))

    async def _write_again(self, connection: AsyncConnection, row: Mapping[str, Any]) -> None:
        """Write a known row as it is: a commit that writes nothing does not wait for a replica.

        The row may be on this server only: its commit's wait was cut short, by a time limit or by
        a primary that stepped down. https://www.postgresql.org/docs/17/warm-standby.html
        """
        inbox = self._table
        known = [inbox.c[name] == row[name] for name in ("handler", "source", "event_id")]
        await connection.execute(update(inbox).where(*known).values(handled_at=inbox.c.handled_at))


def _key(waiting: _Waiting[E]) -> tuple[str, str]:
    """Return what identifies an event."""
    return waiting.delivery.source, waiting.delivery.event_id


def _end(waiting: _Waiting[E], error: BaseException | None) -> None:
    """Give a handler its outcome, unless it has gone away."""
    if waiting.outcome.done():
        return
    if error is None:
        waiting.outcome.set_result(None)
    else:
        waiting.outcome.set_exception(error)
