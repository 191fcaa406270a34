"""A connection to the primary of a Redis with copies, wherever it is when the connection is made.

Every connection is to one server and knows its `run_id`, which no two starts of a server share: an
answer's entry ids mean something on that server only.
"""

from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from shared.streams.server.sentinels import Address, Sentinels

if TYPE_CHECKING:
    from redis.asyncio import Redis

PRIMARY_TIMEOUT = 1.0
"""Seconds to connect: a primary that is cut off answers nothing, and the Sentinels choose anew."""


class PrimaryChangedError(Exception):
    """A command was meant for a server that is not the primary any more; it was not sent.

    No error of Redis: making the same call again is wrong, since its entry ids mean others now.
    """


class ToPrimary(Connection):
    """A connection to the server that a majority of the Sentinels names when it connects.

    One to a server that is the primary no more ends, and the next command connects anew; while it
    has a `fence`, to the server of that `run_id` only. Connections share their `sentinels`: where
    one of them has found another primary, an idle one to the server before is not used again. That
    may be without power, and would cost a timeout a connection.
    """

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(**options)
        self.sentinels = sentinels
        self.run_id = ""
        self.fence = ""

    @property
    def server(self) -> Address:
        """Return host and port of the server that it is to, or was."""
        return self.host, int(self.port)

    @property
    def is_stale(self) -> bool:
        """Whether a later connection went to another server."""
        return self.is_connected and self.run_id != self.sentinels.run_id

    async def connect(self) -> None:
        """Connect to the primary, unless this is a connection to it."""
        if self.is_stale:
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]  # theirs

    async def _connect(self) -> None:
        """Ask the Sentinels, then connect; redis-py calls this for every new connection."""
        self.host, self.port = await self.sentinels.primary()
        await super()._connect()  # type: ignore[no-untyped-call]  # theirs

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 — theirs
        """Log in, and learn which server this is; half a connection is none."""
        try:
            await super().on_connect_check_health(check_health)
            await self.send_command("INFO", "server", check_health=False)
            answer: bytes = await self.read_response(disable_decoding=True)
            lines = dict(line.partition(b":")[::2] for line in answer.splitlines())
            self.run_id = self.sentinels.run_id = lines[b"run_id"].decode()
            self.hold()
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    def hold(self) -> None:
        """Raise PrimaryChangedError where this is not the server that it is held to."""
        if self.fence not in {"", self.run_id}:
            raise PrimaryChangedError(f"{self.host} is the primary now")

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return an answer; one from a replica ends the connection."""
        try:
            return await super().read_response(*args, **kwargs)
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"{self.host} is the primary no more") from error


def has_copies(client: "Redis") -> bool:
    """Whether a client is one of a Redis with copies; a TestBroker's client is a mock."""
    kind: object = client.connection_pool.connection_class
    return isinstance(kind, type) and issubclass(kind, ToPrimary)
