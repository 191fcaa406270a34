"""Effects in SQL, each once: an inbox, its retention and undo, the engine, the migrations.

Needs the extra `sql`. What a worker that keeps what it hears has to write:

    database = Database("ledger", metadata, "ledger:migrations")

    @subscribe_order_placed(group="ledger", limits=TOGETHER)
    @database.once(undo=rows_of(entries))
    async def enter(connection: AsyncConnection, events: Events[OrderPlaced]) -> None:
        await connection.execute(insert(entries), [... for event, delivery in events])

    async def run(settings: Settings, stop: asyncio.Event) -> None:
        await run_worker(database, stop, database_url=..., redis_url=...)
"""

from shared.inbox.columns import Moment, RowId, new_metadata, now, storable
from shared.inbox.database import Database
from shared.inbox.engine import UnusableDatabaseError
from shared.inbox.failures import is_away
from shared.inbox.inbox import TOGETHER, Effect, Events
from shared.inbox.ready import Readiness, Subscriber, health_of, readiness
from shared.inbox.rows import Undo, insert_new, rows_of
from shared.inbox.undoing import run_undo
from shared.inbox.worker import Part, run_worker

__all__ = [
    "TOGETHER",
    "Database",
    "Effect",
    "Events",
    "Moment",
    "Part",
    "Readiness",
    "RowId",
    "Subscriber",
    "Undo",
    "UnusableDatabaseError",
    "health_of",
    "insert_new",
    "is_away",
    "new_metadata",
    "now",
    "readiness",
    "rows_of",
    "run_undo",
    "run_worker",
    "storable",
]
