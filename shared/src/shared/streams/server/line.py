"""One connection for script calls that follow each other, at a fraction of a pooled call's cost.

A call through redis-py's client takes a connection from the pool, checks it, starts a task to
send and a timer to read, and puts it back: more work than the call itself. A publisher has one
call in flight at a time, so it keeps one connection and one timer.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection
    from redis.commands.core import AsyncScript

Argument = str | bytes | int


class Line:
    """Makes script calls on a connection of its own, one after the other.

    Args:
        client: whose pool and server the connection belongs to.
        timeout: seconds for one call, from the first byte sent to the whole answer.
    """

    def __init__(self, client: "Redis", timeout: float) -> None:
        self._pool = client.connection_pool
        self._timeout = timeout
        self._connection: AbstractConnection | None = None

    async def call(
        self, script: "AsyncScript", keys: Sequence[Argument], args: Sequence[Argument]
    ) -> Any:
        """Return a script's answer.

        After an error nobody knows whether the script ran. A connection that was closed while
        nobody used it is replaced and the call made again, so scripts must be repeatable.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
        """
        used = self._connection is not None and self._connection.is_connected
        command = packed("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self._ask(command)
        except NoScriptError:
            await self._ask(packed("SCRIPT", "LOAD", str(script.script)))
            return await self._ask(command)
        except RedisConnectionError:
            if not used:
                raise
            return await self._ask(command)

    async def close(self) -> None:
        """Disconnect; a call makes a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def _ask(self, command: bytes) -> Any:
        connection = self._connection
        if connection is None:
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # theirs
            self._connection = connection
            # Ours covers the whole call; redis-py's would cost a task and two timers each time.
            connection.socket_timeout = None
        try:
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command(command, check_health=False)
                return await connection.read_response()
        except ResponseError:
            raise  # a whole answer, so the connection is as good as before
        except BaseException:
            # What is still to come on this connection would answer another call.
            await connection.disconnect(nowait=True)
            raise


def packed(*parts: Argument) -> bytes:
    """Return a command as it is sent; redis-py takes several times as long to write one.

    Source: redis.io/docs/latest/develop/reference/protocol-spec, "Sending commands to a server".
    """
    sent = [b"*%d\r\n" % len(parts)]
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        sent.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(sent)
