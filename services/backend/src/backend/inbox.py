"""Exactly-once effects: an event's source and id are stored in the transaction of its effect.

A handler may be given an event twice. The inbox row decides which time counts: it is inserted
first, and where it is there already, the event has no effect any more. Events that arrive while a
transaction is under way share the next one, so that a backlog costs a few round trips and one
flush to disk a group, and a single event waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import structlog
from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.database import insert_new, now
from backend.failures import blames_data, is_of_database
from backend.tables import inbox
from shared.generated.events import Delivery, TryLaterError
from shared.process import describe

log = structlog.get_logger(__name__)

CLOSE_GRACE = 2.0
"""Seconds that a transaction under way gets at the end of the process."""

FORGET_AT_ONCE = 2000
"""Rows that one transaction removes; short ones keep nobody waiting."""

E = TypeVar("E")

Effect = Callable[[AsyncConnection, Sequence[tuple[Delivery, E]]], Awaitable[None]]
"""What new events do, given their deliveries and themselves, inside a transaction."""


@dataclass(slots=True)
class _Waiting(Generic[E]):
    """One event, and the handler that waits for its outcome."""

    delivery: Delivery
    event: E
    outcome: asyncio.Future[None] = field(default_factory=asyncio.Future)


class Inbox(Generic[E]):
    """Lets the events of one handler have their effect, each once.

    Args:
        engine: The database of the inbox and of the effect.
        handler: Who handles; every handler sees every event once.
        effect: What an event does.
    """

    def __init__(self, engine: AsyncEngine, handler: str, effect: Effect[E]) -> None:
        self._engine = engine
        self._handler = handler
        self._effect = effect
        self._queue: list[_Waiting[E]] = []
        self._writer: asyncio.Task[None] | None = None

    async def take(self, delivery: Delivery, event: E) -> None:
        """Return once the event has had its effect, now or before, and that is durable.

        A caller who is cancelled meanwhile learns nothing; the event may have its effect.

        Raises:
            TryLaterError: The database is away, full or not migrated: the event is not to blame.
            sqlalchemy.exc.DBAPIError: The event cannot be stored as it is.
        """
        waiting = _Waiting(delivery, event)
        self._queue.append(waiting)
        if self._writer is None or self._writer.done():
            # A task of its own: a transaction that others share must not end with one caller.
            self._writer = asyncio.create_task(self._write(), name=f"inbox {self._handler}")
        await waiting.outcome

    async def forget(self, before: datetime) -> int:
        """Forget the events that were handled before a time; return how many there were."""
        mine = (inbox.c.handler == self._handler) & (inbox.c.handled_at < before)
        key = tuple_(inbox.c.source, inbox.c.event_id)
        some = select(inbox.c.source, inbox.c.event_id).where(mine).limit(FORGET_AT_ONCE)
        forgotten = 0
        while True:
            async with self._engine.begin() as connection:
                keys = [tuple(row) for row in await connection.execute(some)]
                await connection.execute(delete(inbox).where(mine & key.in_(keys)))
            forgotten += len(keys)
            if len(keys) < FORGET_AT_ONCE:
                return forgotten

    async def close(self) -> None:
        """Finish what is being written, within `CLOSE_GRACE` seconds."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=CLOSE_GRACE)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

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
        # In the order of their keys, so that two processes do not wait for each other in a circle.
        events = {_key(waiting): (waiting.delivery, waiting.event) for waiting in group}
        moment = now()
        rows = [
            {"handler": self._handler, "source": source, "event_id": id_, "handled_at": moment}
            for source, id_ in sorted(events)
        ]
        async with self._engine.begin() as connection:
            key = (inbox.c.source, inbox.c.event_id)
            added = set(await insert_new(connection, inbox, rows, *key))
            new = [identity for identity in events if identity in added]
            if new:
                await self._effect(connection, [events[identity] for identity in new])
        fresh = [event_id for _, event_id in new]
        log.info("events handled", handler=self._handler, new=fresh, known=len(events) - len(new))


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
