"""Connections to Redis whose every error means "unknown" and that wait instead of raising.

Except one kind: what `shared.streams.server.denial` is about ends the process.
"""

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import redis
from faststream.redis.configs import RedisConnectionState
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.addresses import SENTINEL_SCHEME, parse_sentinel_url
from shared.streams.server.denial import denies, end_process
from shared.streams.server.primary import PRIMARY_TIMEOUT, ToPrimary
from shared.streams.server.sentinels import Sentinels

if TYPE_CHECKING:
    from redis.asyncio.connection import ConnectionPool

SOCKET_TIMEOUT = 5.0
"""Seconds without a reply after which a command's outcome counts as unknown."""
TOOL_TIMEOUT = 10.0
"""The same for a tool that a person waits for."""
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


def options_of(url: str) -> dict[str, Any]:
    """Return what `connection_pool` takes for a redis://, rediss://, unix:// or redis+sentinel://.

    Raises:
        ValueError: the address is none of these.
    """
    if not url.startswith(SENTINEL_SCHEME):
        return dict(parse_url(url))
    address = parse_sentinel_url(url)
    return {
        "connection_class": ToPrimary,
        "sentinels": Sentinels(address.sentinels, address.service),
        "socket_connect_timeout": PRIMARY_TIMEOUT,
        **address.login,
    }


def connection_pool(options: dict[str, Any]) -> "ConnectionPool":
    """Return a pool for a server, given as `options_of` its address.

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


def short_lived_client(url: str) -> redis.Redis:
    """Return a client that blocks, for a tool that ends soon: it stays with today's primary.

    Raises:
        redis.exceptions.ConnectionError: the Sentinels name no primary.
    """
    if not url.startswith(SENTINEL_SCHEME):
        return redis.Redis.from_url(url, socket_timeout=TOOL_TIMEOUT)
    address = parse_sentinel_url(url)
    host, port = asyncio.run(Sentinels(address.sentinels, address.service).primary())
    return redis.Redis(host=host, port=port, socket_timeout=TOOL_TIMEOUT, **address.login)


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
