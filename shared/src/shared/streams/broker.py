"""The broker of a process: typed, idempotent publishing and consuming over FastStream."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.keys import dead_letters_of
from shared.process import SetupError
from shared.streams.connected import ConnectedBroker
from shared.streams.consume.state import until_one_ends
from shared.streams.consume.subscriber import STOP_GRACE, EventSubscriber
from shared.streams.consume.turns import Turns
from shared.streams.errors import ConsumerStoppedError, EventRefusedError
from shared.streams.event.envelope import EventStream
from shared.streams.measuring import measure_consumers, measure_server
from shared.streams.publish.endpoint import EventPublisher
from shared.streams.publish.outcomes import Publication
from shared.streams.registrator import EventRegistrator

M = TypeVar("M", bound=BaseModel)


class StreamBroker(EventRegistrator, ConnectedBroker):
    """A FastStream broker whose stream publishes are idempotent and whose address comes late.

    It opens nothing when it is made, so a module may hold one. `connect(url)` names the server
    and returns at once whether or not the server is there; publishes wait for it. Whatever
    FastStream publishes to a stream through this broker goes the same idempotent way.
    """

    def __init__(self) -> None:
        self.turns = Turns()
        super().__init__()
        measure_consumers(lambda: self.consumers)
        measure_server(self.memory, self.backup_time, self.dead_letters)

    async def stop(self, *error: Any) -> None:
        """Stop the consumers, then the publisher, then the connection.

        Raises:
            ConsumerStoppedError: a consumer had ended by itself; FastStream's own applications
                call this last, and would end as if all were well.
        """
        ended = [str(consumer.group) for consumer in self.consumers if consumer.ended_by_itself]
        await self.stop_consumers()
        if self._outlet is not None:
            await self._outlet.close()
            self._outlet = None
        await super().stop(*error)
        if ended:
            raise ConsumerStoppedError(f"the consumer of {', '.join(ended)} ended by itself")

    async def close(self) -> None:
        """Drain and disconnect; the broker can be connected again."""
        with suppress(ConsumerStoppedError):  # `consumers_stopped` has told
            await self.stop()

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
        config = self.config.broker_config
        if config.producer is self._ours and not config.broker_middlewares:
            return await self.outlet.publish(stream, event, event_id)
        publisher = EventPublisher(stream, config)
        return await publisher.publish(event, event_id=event_id)

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
        return await self.outlet.publish_all(stream, events)

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
        return await self.outlet.refuse(stream, content, event_id, reason)

    async def dead_letters(self) -> dict[str, int]:
        """Return how many dead letters stand, by stream, of the events that this process publishes.

        Raises:
            redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
        """
        if self._outlet is None:
            return {}
        client = await self.connect()
        publishers = (each for each in self.publishers if isinstance(each, EventPublisher))
        return {
            stream: int(await client.xlen(dead_letters_of(stream)))
            for stream in sorted({publisher.events.name for publisher in publishers})
        }

    # Consuming

    @property
    def consumers(self) -> list[EventSubscriber[Any]]:
        """Return every consumer of the broker and its routers, by stream and group."""
        consumers = [each for each in self.subscribers if isinstance(each, EventSubscriber)]
        return sorted(consumers, key=lambda consumer: (consumer.stream.name, consumer.group))

    async def start_consumers(self) -> None:
        """Start every consumer; each waits for Redis by itself.

        Raises:
            SetupError: two handlers subscribe to one stream in one group, where each of them would
                get a part of the events.
        """
        for first, second in pairwise(self.consumers):
            if (first.stream.name, first.group) == (second.stream.name, second.group):
                raise SetupError(
                    f"two handlers subscribe to {first.stream.name} in the group {first.group}: "
                    "each event would reach only one of them; give each a group of its own"
                )
        await self.start()

    async def stop_consumers(self, grace: float = STOP_GRACE) -> None:
        """Let running handlers finish for `grace` seconds and hand the rest to other members."""
        await asyncio.gather(*(consumer.stop(grace) for consumer in self.consumers))

    async def consumers_stopped(self) -> None:
        """Wait until a consumer ends by itself.

        Raises:
            ConsumerStoppedError: one has; the process should end with an error.
        """
        tasks = (consumer.task for consumer in self.consumers)
        await until_one_ends([task for task in tasks if task is not None])
