"""A broker and its server: an address that comes late, and small questions about what is there."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from faststream.redis import RedisBroker

from shared.keys import BACKUP_TIME, touch_of
from shared.streams.errors import NotConnectedError
from shared.streams.event.envelope import MAX_ID_LENGTH, EventStream, is_attribute
from shared.streams.event.format import CloudEventsFormat
from shared.streams.lease import Lease
from shared.streams.publish.outlet import Outlet
from shared.streams.publish.producer import StreamProducer
from shared.streams.retry import RedisOutage
from shared.streams.server import probing
from shared.streams.server.connection import ConnectionState, options_of
from shared.streams.server.line import Argument, packed
from shared.streams.server.memory import Memory
from shared.streams.server.replicated import Call, script_call

if TYPE_CHECKING:
    from redis.asyncio import Redis


class ConnectedBroker(RedisBroker):
    """A FastStream broker that is made before its server is known, and reaches it when it can."""

    def __init__(self) -> None:
        self._source = "/herald"
        self._outlet: Outlet | None = None
        self._probing = RedisOutage("probe")
        # Our loop logs what fails; FastStream would write two lines for every event.
        super().__init__(
            message_format=CloudEventsFormat,
            logger=None,  # type: ignore[arg-type]  # they document None, and do not declare it
        )

    def _make_connection_state(
        self, connection_options: dict[str, Any], kwargs: dict[str, Any]
    ) -> ConnectionState:
        """Hook of FastStream: what opens the connections."""
        del kwargs
        self._state = ConnectionState(connection_options)
        return self._state

    def _make_producer(self, connection_state: Any, kwargs: dict[str, Any]) -> StreamProducer:
        """Hook of FastStream: what every publish of the broker goes through."""
        self._ours = StreamProducer(
            lambda: self.outlet,
            connection=connection_state,
            parser=kwargs.get("parser"),
            decoder=kwargs.get("decoder"),
            message_format=self.message_format,
            serializer=kwargs.get("serializer"),
        )
        return self._ours

    @property
    def outlet(self) -> Outlet:
        """Return where the events of this process go; NotConnectedError where nowhere."""
        if self._outlet is None or self._connection is None:
            raise NotConnectedError("the broker is not connected; call connect(url) first")
        return self._outlet

    async def connect(self, url: str | None = None, *, source: str | None = None) -> "Redis":
        """Name the server; nothing is sent before the first command.

        Args:
            url: a redis://, rediss:// or unix:// URL, or a redis+sentinel:// one of a Redis with
                copies (`shared.addresses`); None keeps the one that was named before.
            source: the CloudEvents source of what this process publishes, such as `/tg_bot`.

        Raises:
            ValueError: the URL is none of these, or the source cannot be one.
        """
        if source is not None and not (is_attribute(source) and len(source) <= MAX_ID_LENGTH):
            raise ValueError(f"no CloudEvents source: {source!r}")
        self._source = source or self._source
        if url is not None and self._connection is None:
            self._state.options = options_of(url)
        # A connection of TestBroker is a mock, and ends without a word to us.
        known = self._outlet if self._connection is not None else None
        client: Redis = await super().connect()
        self._outlet = known or Outlet(client, self._source)
        self._outlet.source = self._source
        return client

    async def write(self, stream: EventStream[Any], *command: Argument) -> Any:
        """Carry out a command on what is kept beside a stream; durable on return.

        As durable as an event: of a Redis with copies a replica has it, and where the primary has
        changed it is carried out again, in the order of all that this process has written so.

        Args:
            stream: beside which the command's keys are.
            command: one that may be carried out again.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: nobody knows whether it was.
        """
        client, line = await self.connect(), self.outlet.publisher.replicated
        if line is None:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # theirs
        return await line.call(Call(packed(*command), touch_of(stream.name)))

    async def run_script(
        self, stream: EventStream[Any], source: str, keys: list[str], args: list[Argument]
    ) -> Any:
        """Run a script on what is kept beside a stream, as `write` does a command."""
        client, line = await self.connect(), self.outlet.publisher.replicated
        script = client.register_script(source)
        if line is None:
            return await script(keys, args)
        return await line.call(script_call(script, keys, args, touch_of(stream.name)))

    async def probe(self, stream: EventStream[Any]) -> bool:
        """Whether the server takes a write beside this stream, and will take more of them.

        One that is nearly full takes this small one and refuses the next batch: it counts as full.
        """
        memory = await probing.write(await self.connect(), stream.name, self._probing)
        return memory is not None and not memory.full

    async def memory(self) -> Memory | None:
        """Return what the server has used of its memory; None where it does not tell in time."""
        return await probing.memory_in_time(await self.connect()) if self._connection else None

    async def backup_time(self) -> float | None:
        """Return when the server's data was last backed up, in Unix seconds; None for never."""
        if not self._connection:
            return None
        written = await (await self.connect()).get(BACKUP_TIME)
        return None if written is None else float(written)

    async def wait_until_writable(self, stream: EventStream[Any]) -> None:
        """Return once the server takes writes; wait with backoff, and say so, until then.

        For a process that publishes to the stream: it keeps the stream tidy from now on. A server
        that is full is not waited for: it may take long, and whoever publishes is told.
        """
        client = await self.connect()
        self.outlet.keep_tidy(stream)
        await probing.until_written(client, stream.name)

    async def oldest(self, stream: EventStream[Any]) -> datetime | None:
        """Return since when there are entries that can be delivered still; None for none.

        Those of the stream, and of its dead letters, which can be replayed. What was replayed
        counts from its first entry on: another group may have handled it at that time.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
        """
        return await probing.oldest(await self.connect(), stream.name)

    async def lease(self, stream: EventStream[Any], name: str) -> Lease:
        """Return a contender for a lease that is kept beside a stream; it does not ask yet."""
        return Lease(await self.connect(), stream.name, name)
