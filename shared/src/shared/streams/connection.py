"""Connections to Redis whose every error means "unknown" and that wait instead of raising."""

from typing import TYPE_CHECKING, Any

from faststream.redis.configs import RedisConnectionState
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from redis.asyncio.connection import ConnectionPool

SOCKET_TIMEOUT = 5.0
"""Seconds without a reply after which a command's outcome counts as unknown."""
MAX_CONNECTIONS = 16


def connection_pool(options: dict[str, Any]) -> "ConnectionPool":
    """Return a pool for a server, given as redis-py's connection options.

    The client's own retries are off: redis-py repeats a command whose reply was lost, which
    appends the entry twice. The pool waits for a free connection; the plain one raises.
    """
    defaults = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "socket_keepalive": True,
    }
    return BlockingConnectionPool(
        **{**defaults, **options},
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
        timeout=None,
    )


class ConnectionState(RedisConnectionState):
    """FastStream's connection state, over that pool and with an address that can come late."""

    __slots__ = ()

    @property
    def options(self) -> dict[str, Any]:
        """Return redis-py's connection options."""
        return self._options

    @options.setter
    def options(self, options: dict[str, Any]) -> None:
        self._options = options

    async def connect(self) -> "Redis":
        """Return a client; no connection is opened before its first command."""
        self._client = Redis(connection_pool=connection_pool(self._options))
        self._connected = True
        return self._client

    async def disconnect(self) -> None:
        """Close the client and every connection of its pool."""
        if self._client is not None:
            await self._client.connection_pool.disconnect()
        await super().disconnect()
