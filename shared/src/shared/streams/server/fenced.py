"""Commands that mean something on one server only, and are sent to no other.

Two primaries give out the same entry ids: an acknowledgement of A's entry, sent to B, would clear
another event's pending entry there. So who has read on one writes to that one or not at all.
"""

from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from shared.streams.server.primary import PrimaryChangedError, ToPrimary, has_copies

if TYPE_CHECKING:
    from redis.asyncio.connection import ConnectionPool


class FencedPool:
    """A pool's connections, held to the server of one `run_id`; PrimaryChangedError for another."""

    def __init__(self, pool: "ConnectionPool", run_id: str) -> None:
        self._pool = pool
        self._run_id = run_id

    async def get_connection(self, *_: Any, **__: Any) -> ToPrimary:
        """Return a free connection to that server."""
        connection: ToPrimary = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # theirs
        connection.fence = self._run_id
        try:
            connection.hold()
        except PrimaryChangedError:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: ToPrimary) -> None:
        """Give a connection back."""
        connection.fence = ""
        await self._pool.release(connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


async def held_to_primary(client: Redis) -> Redis:
    """Return a client that is held to whatever server is the primary now; without copies the same.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: there is none.
    """
    if not has_copies(client):
        return client
    pool = client.connection_pool
    connection: ToPrimary = await pool.get_connection()  # type: ignore[no-untyped-call]  # theirs
    run_id = connection.run_id
    await pool.release(connection)
    fenced: Any = FencedPool(pool, run_id)
    return Redis(connection_pool=fenced)
