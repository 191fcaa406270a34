"""The broker of a process: typed, idempotent publishing and consuming over FastStream."""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from faststream.redis import RedisBroker
from faststream.redis.publisher.producer import RedisFastProducer
from faststream.redis.response import DestinationType, RedisPublishCommand
from pydantic import BaseModel
from pydantic_core import to_json
from redis.asyncio.connection import parse_url
from redis.exceptions import OutOfMemoryError

from shared.keys import (
    buried_of,
    dead_letters_of,
    previous_dead_letters_of,
    probe_of,
    replayed_of,
)
from shared.process import Backoff
from shared.streams.consume.consumer import Consumer
from shared.streams.consume.hand import Handler
from shared.streams.consume.limits import Limits
from shared.streams.consume.turns import Turns
from shared.streams.errors import ConsumerStoppedError, EventRefusedError, NotConnectedError
from shared.streams.event.envelope import (
    MAX_ID_LENGTH,
    CloudEventsFormat,
    EventStream,
    MalformedError,
    encode,
    is_attribute,
)
from shared.streams.lease import Lease
from shared.streams.publish.bulk import publish_all, raw_of
from shared.streams.publish.outcomes import Publication
from shared.streams.publish.publisher import Publisher
from shared.streams.retry import UNKNOWN, RedisOutage
from shared.streams.server.connection import ConnectionState
from shared.streams.server.memory import Memory, memory_of
from shared.streams.server.scripts import load_script
from shared.streams.tidying import Tidier

if TYPE_CHECKING:
    from redis.asyncio import Redis

M = TypeVar("M", bound=BaseModel)

PROBE_LIFETIME = 60
"""Seconds that the key of a write probe lives."""
PROBE_TIMEOUT = 2.0
"""Seconds within which a healthy server takes a write."""
STOP_GRACE = 8.0
"""Seconds that running handlers get to finish; less than the stack's shortest grace period."""


class StreamBroker(RedisBroker):
    """A FastStream broker whose stream publishes are idempotent and whose address comes late.

    It opens nothing when it is made, so a module may hold one. `connect(url)` names the server
    and returns at once whether or not the server is there; publishes wait for it. Whatever
    FastStream publishes to a stream through this broker goes the same idempotent way.
    """

    def __init__(self) -> None:
        self.source = "/herald"
        self._publisher: Publisher | None = None
        self._tidier: Tidier | None = None
        self._consumers: list[Consumer[Any]] = []
        self._running: list[asyncio.Task[None]] = []
        self._probing = RedisOutage("probe")
        super().__init__(message_format=CloudEventsFormat)

    def _make_connection_state(
        self, connection_options: dict[str, Any], kwargs: dict[str, Any]
    ) -> ConnectionState:
        """Hook of FastStream: what opens the connections."""
        del kwargs
        self._state = ConnectionState(connection_options)
        return self._state

    def _make_producer(self, connection_state: Any, kwargs: dict[str, Any]) -> "StreamProducer":
        """Hook of FastStream: what every publish of the broker goes through."""
        return StreamProducer(
            self,
            connection=connection_state,
            parser=kwargs.get("parser"),
            decoder=kwargs.get("decoder"),
            message_format=self.message_format,
            serializer=kwargs.get("serializer"),
        )

    # Connection

    async def connect(self, url: str | None = None, *, source: str | None = None) -> "Redis":
        """Name the server; nothing is sent before the first command.

        Args:
            url: a redis:// or rediss:// URL; None keeps the one that was named before.
            source: the CloudEvents source of what this process publishes, such as `/tg_bot`.

        Raises:
            ValueError: the URL is none that redis-py knows, or the source cannot be one.
        """
        if source is not None and not (is_attribute(source) and len(source) <= MAX_ID_LENGTH):
            raise ValueError(f"no CloudEvents source: {source!r}")
        self.source = source or self.source
        if url is not None and self._connection is None:
            self._state.options = dict(parse_url(url))
        client: Redis = await super().connect()
        self._tidier = self._tidier or Tidier(client)
        self._publisher = self._publisher or Publisher(client, self._tidier.make_room)
        return client

    async def stop(self, *error: Any) -> None:
        """Stop the consumers, then the publisher, then the connection."""
        await self.stop_consumers()
        if self._tidier is not None:
            await self._tidier.close()
            self._tidier = None
        if self._publisher is not None:
            await self._publisher.close()
            self._publisher = None
        await super().stop(*error)

    async def close(self) -> None:
        """Drain and disconnect; the broker can be connected again."""
        await self.stop()

    async def probe(self, stream: EventStream[Any], outage: RedisOutage | None = None) -> bool:
        """Whether the server takes a write beside this stream, and will take more of them.

        One that is nearly full takes this small one and refuses the next batch: it counts as full.
        """
        memory = await self._write(stream, outage or self._probing)
        return memory is not None and not memory.full

    async def memory(self) -> Memory | None:
        """Return what the server has used of its memory; None where it does not tell in time."""
        if self._publisher is None:
            return None  # not connected yet
        client = await self.connect()
        with suppress(*UNKNOWN):
            async with asyncio.timeout(PROBE_TIMEOUT):
                return await memory_of(client)
        return None

    async def wait_until_writable(self, stream: EventStream[Any]) -> None:
        """Return once the server takes writes; wait with backoff, and say so, until then.

        For a process that publishes to the stream: it keeps the stream tidy from now on. A server
        that is full is not waited for: it may take long, and whoever publishes is told.
        """
        await self.connect()
        self._publisher_to(stream)
        outage = RedisOutage("start")
        for delay in iter(Backoff().next, None):
            if await self._write(stream, outage) is not None:
                return
            await asyncio.sleep(delay)

    async def _write(self, stream: EventStream[Any], outage: RedisOutage) -> Memory | None:
        """Write something small, and return the server's memory; None where it does not answer."""
        client = await self.connect()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                with suppress(OutOfMemoryError):
                    await client.set(probe_of(stream.name), "1", ex=PROBE_LIFETIME)
                memory = await memory_of(client)
        except UNKNOWN as error:
            outage.failed(error)
            return None
        if memory.full:
            outage.failed(OutOfMemoryError(f"{memory.share:.0%} of its memory are used"))
        else:
            outage.worked()
        return memory

    async def oldest(self, stream: EventStream[Any]) -> datetime | None:
        """Return since when there are entries that can be delivered still; None for none.

        Those of the stream, and of its dead letters, which can be replayed. What was replayed
        counts from its first entry on: another group may have handled it at that time.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
        """
        client, name = await self.connect(), stream.name
        keys = [
            *(name, dead_letters_of(name), previous_dead_letters_of(name)),
            *(replayed_of(name), buried_of(name)),
        ]
        script = client.register_script(load_script("oldest"))
        milliseconds: bytes | None = await script(keys)
        if milliseconds is None:
            return None
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)

    async def lease(self, stream: EventStream[Any], name: str) -> Lease:
        """Return a contender for a lease that is kept beside a stream; it does not ask yet."""
        return Lease(await self.connect(), stream.name, name)

    # Publishing

    async def publish_event(
        self, stream: EventStream[M], event: M, *, event_id: str | None = None
    ) -> Publication:
        """Append an event to its stream, once for one event id.

        Waits while Redis is away. The generated `publish_<event>` functions call this.

        Args:
            stream: where the event belongs.
            event: what happened.
            event_id: what makes the event the same event when it is published again; without
                one it gets a random id and is new each time.

        Raises:
            EventRefusedError: the event can never be published; it is in the dead letters.
            NotConnectedError: the broker is not connected, or was closed before an answer.
            TooLateError: there was none for a day; whether the event was published by an earlier
                call is not known, and this one has not.
        """
        event_id = event_id or str(uuid.uuid4())
        publisher = self._publisher_to(stream)
        try:
            payload = encode(event, event_id=event_id, kind=stream.name, source=self.source)
        except MalformedError as error:
            return await publisher.refuse(
                stream.name, self.source, event_id, raw_of(event), str(error)
            )
        return await publisher.publish(stream.name, self.source, event_id, payload)

    async def publish_events(
        self, stream: EventStream[M], events: Iterable[tuple[str | None, M]]
    ) -> list[Publication | EventRefusedError]:
        """Append many events to their stream, in their order and each once.

        Costs a fraction of as many `publish_event` calls, and waits while Redis is away as they
        do. An event that is refused holds back no other.

        Args:
            stream: where the events belong.
            events: each with its event id; with None it gets a random one.

        Returns:
            For each event where it stands, or why it was refused for good.

        Raises:
            ValueError: an event id could not be one; some of the events may have been appended.
            NotConnectedError: the broker is not connected, or was closed before an answer;
                some of the events may have been appended.
        """
        return await publish_all(self._publisher_to(stream), stream, self.source, events)

    async def refuse_event(
        self, stream: EventStream[M], content: Any, *, event_id: str, reason: str
    ) -> Publication:
        """Put what is no event, or not to be one now, into the stream's dead letters.

        Args:
            stream: where the event would have belonged.
            content: whatever there is of it, written as JSON; an event of the stream keeps its
                envelope, so that a replay can put it into the stream.
            event_id: its id; once refused it is never published.
            reason: why, for the person who reads the dead letters.

        Returns:
            The publication, where this id had been published before.

        Raises:
            EventRefusedError: otherwise, once the refusal is durable.
        """
        raw = self._kept(stream, content, event_id)
        return await self._publisher_to(stream).refuse(
            stream.name, self.source, event_id, raw, reason
        )

    def _kept(self, stream: EventStream[M], content: Any, event_id: str) -> bytes:
        """Return what a dead letter keeps of something; Python's own form where JSON has none."""
        try:
            if isinstance(content, stream.model):
                return encode(content, event_id=event_id, kind=stream.name, source=self.source)
            return to_json(content, fallback=repr, inf_nan_mode="null")
        except ValueError:
            return raw_of(content)

    @property
    def publisher_of_events(self) -> Publisher:
        """Return the idempotent publisher of the connection."""
        if self._publisher is None:
            raise NotConnectedError("the broker is not connected; call connect(url) first")
        return self._publisher

    def _publisher_to(self, stream: EventStream[Any]) -> Publisher:
        """Return the publisher; who publishes to a stream keeps it tidy as well."""
        publisher = self.publisher_of_events
        if self._tidier is not None:
            self._tidier.keep(stream.name, stream.retention)
        return publisher

    # Consuming

    def subscribe_event(
        self, stream: EventStream[M], *, group: str, limits: Limits | None = None
    ) -> Callable[[Handler[M]], Handler[M]]:
        """Return a decorator: the coroutine below it handles the stream's events for a group.

        The handler is called at least once for every event. When it returns, the entry is
        acknowledged; when it raises, it is called again, and after `limits.deliveries` failures
        the entry moves to the dead letters. `TryLaterError` does not count as a failure.
        """

        def register(handler: Handler[M]) -> Handler[M]:
            self._consumers.append(Consumer(stream, group, handler, limits))
            return handler

        return register

    @property
    def consumers(self) -> tuple[Consumer[Any], ...]:
        """Return every consumer that was registered with `subscribe_event`."""
        return tuple(self._consumers)

    async def start_consumers(self) -> None:
        """Start every registered consumer; each waits for Redis by itself."""
        client, turns = await self.connect(), Turns()
        self._running = [consumer.start(client, turns) for consumer in self._consumers]

    async def stop_consumers(self, grace: float = STOP_GRACE) -> None:
        """Let running handlers finish for `grace` seconds and hand the rest to other members."""
        await asyncio.gather(*(consumer.stop(grace) for consumer in self._consumers))
        self._running = []

    async def consumers_stopped(self) -> None:
        """Wait until a consumer ends by itself.

        Raises:
            ConsumerStoppedError: one has; the process should end with an error.
        """
        if not self._running:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(asyncio.CancelledError):
                task.result()
        raise ConsumerStoppedError(f"{', '.join(task.get_name() for task in done)} ended by itself")


class StreamProducer(RedisFastProducer):
    """FastStream's producer with one difference: what goes to a stream goes there idempotently."""

    __slots__ = ("_broker",)

    def __init__(self, broker: StreamBroker, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._broker = broker

    async def publish(self, cmd: RedisPublishCommand) -> int | bytes:
        """Publish; the message's correlation id, or its header `id`, is the event id."""
        if cmd.destination_type is not DestinationType.Stream:
            return await super().publish(cmd)
        event_id = str(cmd.headers.get("id") or cmd.correlation_id)
        headers = {"source": self._broker.source, "type": cmd.destination, **cmd.headers}
        payload = await cmd.message_format.encode(
            message=cmd.body,
            reply_to=cmd.reply_to,
            headers={**headers, "id": event_id},
            correlation_id=event_id,
            serializer=self.serializer,
            codec=self.codec,
        )
        events = self._broker.publisher_of_events
        published = await events.publish(cmd.destination, str(headers["source"]), event_id, payload)
        return published.entry_id.encode()
