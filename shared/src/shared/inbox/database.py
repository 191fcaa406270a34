"""What one service has in a database: its tables, its inbox, the revisions of both.

Several services may share a database. Each counts its revisions in a table of its own and has an
inbox of its own, both named after it; the names of its other tables are its own to choose, and a
name that is taken is told at the start of whoever comes second.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.inbox.copies import DatabaseCopy, copies_of
from shared.inbox.engine import make_engine, make_usable
from shared.inbox.inbox import Effect, Inbox, inbox_table
from shared.inbox.rows import Undo
from shared.metrics import catalogue
from shared.streams import Delivery, Handler

if TYPE_CHECKING:
    from shared.inbox.schema import Revisions

E = TypeVar("E", bound=BaseModel)

INBOX_REVISIONS = "shared.inbox:migrations/versions"


class Database:
    """The tables of a service, and what its handlers do with them. A module may hold one.

    Args:
        service: The service's name.
        metadata: Its tables, of `new_metadata()`.
        migrations: Where its revisions are, as `package:folder`.
        prefix: How the names of its inbox and of what counts its revisions begin; its own name
            where none is given.
    """

    def __init__(
        self, service: str, metadata: MetaData, migrations: str, *, prefix: str | None = None
    ) -> None:
        prefix = f"{service}_" if prefix is None else prefix
        self.service = service
        self.inbox = inbox_table(f"{prefix}inbox")
        self._migrations = migrations, f"{prefix}alembic_version", metadata
        self._engine: AsyncEngine | None = None
        self._inboxes: dict[str, Inbox[Any]] = {}

    # Handlers

    def once(
        self, *, undo: Undo | None = None, handler: str = ""
    ) -> Callable[[Effect[E]], Handler[E]]:
        """Return a decorator that makes a handler of an effect: each event has it once.

            @subscribe_order_placed(group="ledger", limits=TOGETHER)
            @database.once(undo=rows_of(entries))
            async def enter(connection: AsyncConnection, events: Events[OrderPlaced]) -> None: ...

        The effect is given new events only, some at a time and in the order of the stream, each
        with its delivery, and happens in the transaction that notes that they were handled. It
        does nothing outside of that. Where it raises none of it has happened; an error of the
        database that will pass costs no delivery.

        Args:
            undo: takes back what one event has done, for the smoke test of a deploy.
            handler: what the inbox knows it by; the function's name where none is given. Another
                name is another handler, for which every event is new.

        Raises:
            ValueError: the service has a handler of this name already.
        """

        def register(effect: Effect[E]) -> Handler[E]:
            name = handler or getattr(effect, "__name__", "")
            if not name or name in self._inboxes:
                raise ValueError(f"{self.service} has a handler {name!r} already; name it anew")
            inbox = Inbox(self.begin, self.inbox, name, effect, undo)
            self._inboxes[name] = inbox

            async def handle(event: E, delivery: Delivery) -> None:
                await inbox.take(event, delivery)

            handle.__name__ = handle.__qualname__ = name
            return handle

        return register

    async def forget(self, before: datetime) -> int:
        """Forget which events were handled before a time, not what they did; return how many."""
        return sum([await inbox.forget(before) for inbox in self._inboxes.values()])

    async def undo(self, event_id: str) -> int:
        """Take back all that an event has done here; return how often it had."""
        return sum([await inbox.undo(event_id) for inbox in self._inboxes.values()])

    async def handled(self, source: str, event_id: str) -> list[tuple[str, datetime]]:
        """Return which handlers have handled an event, and when, the first one first."""
        inbox = self.inbox.c
        mine = (inbox.source == source) & (inbox.event_id == event_id)
        query = select(inbox.handler, inbox.handled_at).where(mine).order_by(inbox.handled_at)
        async with self.begin() as connection:
            return [(name, moment) for name, moment in await connection.execute(query)]

    async def server(self) -> list[DatabaseCopy]:
        """Return what the database is, the copy that is connected to first."""
        async with self.begin() as connection:
            return await copies_of(connection)

    async def measure(self) -> None:
        """Tell the metrics how many events each handler's inbox remembers."""
        handler = self.inbox.c.handler
        async with self.begin() as connection:
            rows = await connection.execute(select(handler, func.count()).group_by(handler))
            for name, count in rows:
                catalogue.INBOX.set(count, name)

    # Connection

    async def open(self, url: str) -> None:
        """Return once the database answers and has this release's tables; wait for it until then.

        Raises:
            UnusableDatabaseError: it refuses for a reason that no waiting mends.
        """
        self.connect(url)
        await make_usable(self.engine, partial(self.upgrade, url))

    def connect(self, url: str) -> None:
        """Name the database; nothing is sent before the first transaction."""
        self._engine = make_engine(url)

    async def upgrade(self, url: str) -> None:
        """Bring the inbox and the service's own tables to this release, all or nothing."""
        from shared.inbox.schema import upgrade  # noqa: PLC0415  as below

        await upgrade(url, *self._lines())

    async def differences(self) -> list[str]:
        """Return where the tables that there are differ from those of the code, for a test."""
        async with self.begin() as connection:
            return [
                change
                for line in self._lines()
                for change in await connection.run_sync(line.differences)
            ]

    @cached_property
    def revisions(self) -> "Revisions":
        """The service's own revisions; Alembic is imported by who migrates only, not to undo."""
        from shared.inbox.schema import Revisions  # noqa: PLC0415

        return Revisions(*self._migrations)

    def _lines(self) -> tuple["Revisions", "Revisions"]:
        """Return the inbox's revisions, then the service's own."""
        from shared.inbox.schema import Revisions  # noqa: PLC0415

        counted = f"{self.inbox.name}_alembic_version"
        return Revisions(INBOX_REVISIONS, counted, self.inbox.metadata), self.revisions

    async def close(self) -> None:
        """Finish what is being written, then disconnect; it can be opened again."""
        await asyncio.gather(*(inbox.close() for inbox in self._inboxes.values()))
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> AsyncEngine:
        """Return the engine of the database that was named."""
        if self._engine is None:
            raise RuntimeError(f"the database of {self.service} is not open")
        return self._engine

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction, which is committed at its end."""
        return self.engine.begin()
