"""A TCP proxy before Redis that loses, tears, resets and swallows bytes on demand.

What a network can do to a connection and a killed server cannot: the command arrives and its reply
does not; half a command arrives; everything is accepted and nothing comes back. It looks into the
bytes only to find the command that it is told to strike, so any client and any version will do.

A client is expected to wait for a reply before it sends its next command on the same connection,
as redis-py does outside of pipelines.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

CHUNK = 256 * 1024
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST and forgets what has not been sent."""


@dataclass(slots=True)
class Strike:
    """What is done to the next commands that contain some bytes; `done` is set by the last.

    `first` is called before a struck command is passed on.
    """

    kind: str
    containing: bytes
    count: int
    first: Callable[[], None] = lambda: None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class _Connection:
    """One client's connection and the proxy's own to the server."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.from_client, self.to_client = client
        self.from_server, self.to_server = server
        self.loses_reply: Strike | None = None

    def reset(self) -> None:
        """End both sides; the client sees a reset, not an end of file."""
        raw = self.to_client.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.to_client.transport.abort()
        self.to_server.transport.abort()


class RedisProxy:
    """Listens on a port of 127.0.0.1 and forwards to a server's.

    Attributes:
        url: what a client is given instead of the server's address.
        struck: how often each kind of fault has struck.
    """

    def __init__(self, server_port: int) -> None:
        self.struck: Counter[str] = Counter()
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._accepting: set[asyncio.Task[None]] = set()
        self._strikes: list[Strike] = []
        self._open = asyncio.Event()
        self._open.set()
        self._mute = False

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._listener is not None:
            self._listener.close()
        self._open.set()
        while self._accepting:
            self.reset_connections()
            await asyncio.wait(self._accepting, timeout=0.1)

    @property
    def url(self) -> str:
        """Return the redis:// URL of the proxy."""
        if self._listener is None:
            raise RuntimeError("the proxy does not listen")
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    # Faults

    def lose_replies(self, count: int = 1, containing: bytes = b"") -> Strike:
        """Let the next commands arrive and be carried out, then reset instead of replying."""
        return self._add("lost reply", count, containing)

    def tear_commands(self, count: int = 1, containing: bytes = b"") -> Strike:
        """Let half of each of the next commands arrive, then reset."""
        return self._add("torn command", count, containing)

    def mute(self) -> None:
        """Pass commands on and no reply, until `restore`."""
        self._mute = True

    @property
    def is_mute(self) -> bool:
        """Whether it passes no reply on."""
        return self._mute

    def mute_from(self, containing: bytes, first: Callable[[], None]) -> Strike:
        """Be mute from the next such command on; it is done when the server has answered it."""
        strike = self._add("mute", 1, containing)

        def be_mute() -> None:
            self.mute()
            first()

        strike.first = be_mute
        return strike

    def reset_connections(self) -> int:
        """Reset every connection now; return how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.reset()
        self.struck["reset"] += len(connections)
        return len(connections)

    def black_hole(self) -> None:
        """Accept everything and pass nothing on, in either direction, until `restore`."""
        self.struck["black hole"] += 1
        self._open.clear()

    def restore(self) -> None:
        """Work again; connections that were swallowed or lack a reply are reset."""
        if self._mute or not self._open.is_set():
            for connection in list(self._connections):
                connection.reset()
            self._open.set()
        self._mute = False
        self._strikes.clear()

    def _add(self, kind: str, count: int, containing: bytes) -> Strike:
        strike = Strike(kind, containing, count)
        self._strikes.append(strike)
        return strike

    def _strike(self, command: bytes) -> Strike | None:
        """Return the fault that strikes these bytes, counted, or None."""
        for strike in self._strikes:
            if strike.containing in command:
                strike.count -= 1
                if strike.count <= 0:
                    self._strikes.remove(strike)
                return strike
        return None

    def _has_struck(self, strike: Strike) -> None:
        self.struck[strike.kind] += 1
        if strike.count <= 0:
            strike.done.set()

    # Forwarding

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._accepting.add(task)
        try:
            await self._open.wait()
            server = await asyncio.open_connection("127.0.0.1", self._server_port, limit=CHUNK)
        except OSError:
            pass
        else:
            connection = _Connection((reader, writer), server)
            self._connections[connection] = task
            try:
                await self._forward(connection)
            finally:
                del self._connections[connection]
        finally:
            await _abort(writer)
            self._accepting.discard(task)

    async def _forward(self, connection: _Connection) -> None:
        """Pass bytes both ways until either side ends."""
        ways = [
            asyncio.create_task(self._commands(connection), name="commands"),
            asyncio.create_task(self._replies(connection), name="replies"),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await _abort(connection.to_server)

    async def _commands(self, connection: _Connection) -> None:
        while data := await connection.from_client.read(CHUNK):
            await self._open.wait()
            strike = self._strike(data)
            if strike is not None and strike.kind == "torn command":
                connection.to_server.write(data[: len(data) // 2])
                await connection.to_server.drain()
                connection.reset()
                self._has_struck(strike)
                return
            if strike is not None:  # a long command comes in several pieces: keep what struck one
                strike.first()
                connection.loses_reply = strike
            connection.to_server.write(data)
            await connection.to_server.drain()

    async def _replies(self, connection: _Connection) -> None:
        while data := await connection.from_server.read(CHUNK):
            await self._open.wait()
            if self._mute:
                if connection.loses_reply is not None:
                    connection.loses_reply.done.set()
                continue
            if connection.loses_reply is not None:
                connection.reset()
                self._has_struck(connection.loses_reply)
                return
            connection.to_client.write(data)
            await connection.to_client.drain()


async def _abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection without a goodbye, and wait until the socket is closed."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
