"""Connections to Redis whose every error means "unknown" and that wait instead of raising.

Except one kind: what `shared.streams.server.denial` is about ends the process.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from faststream.redis.configs import RedisConnectionState
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.streams.server.denial import denies, end_process

if TYPE_CHECKING:
    from redis.asyncio.connection import ConnectionPool

SOCKET_TIMEOUT = 5.0
"""Seconds without a reply after which a command's outcome counts as unknown."""
MAX_CONNECTIONS = 16

Packed = bytes | str | Iterable[bytes]
"""One command or several as they are sent."""


class EndingWhenDenied(AbstractConnection):
    """A connection that ends the process where Redis refuses its user, whoever asked.

    While it connects, redis-py asks for what a user may lack and goes on without it, so of that
    only counts what makes the connection fail.
    """

    _sent: Packed = b""
    _connecting = False

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        """Connect and log in."""
        self._connecting = True
        try:
            await super().connect_check_health(*args, **kwargs)
        except RedisError as error:
            if denies(error):
                self._end(error)
            raise
        finally:
            self._connecting = False

    async def send_packed_command(self, command: Packed, *args: Any, **kwargs: Any) -> None:
        """Send one command or several, and remember them until they are answered."""
        self._sent = command
        await super().send_packed_command(command, *args, **kwargs)

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return the answer to it."""
        try:
            return await super().read_response(*args, **kwargs)
        except RedisError as error:
            if denies(error) and not self._connecting:
                self._end(error)
            raise

    def _end(self, error: RedisError) -> NoReturn:
        sent = self._sent.encode() if isinstance(self._sent, str) else self._sent
        sent = sent if isinstance(sent, bytes) else b"".join(sent)
        end_process(error, str(self.username or "default"), sent)


@cache
def ending_when_denied(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return a class of connections, plain, over TLS or to a socket, that ends when denied."""
    return type(kind.__name__, (EndingWhenDenied, kind), {})


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
    kind = ending_when_denied(options.get("connection_class", Connection))
    return BlockingConnectionPool(
        **{**defaults, **options, "connection_class": kind},
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
