"""Registering handlers and publishers of events, with a broker or with a router."""

from typing import Any, TypeVar

from faststream._internal.broker.registrator import Registrator
from faststream.redis import RedisRouter
from faststream.redis.broker.registrator import RedisRegistrator
from pydantic import BaseModel

from shared.streams.consume.limits import Limits
from shared.streams.consume.subscriber import EventSubscriber
from shared.streams.event.envelope import EventStream
from shared.streams.publish.endpoint import EventPublisher

M = TypeVar("M", bound=BaseModel)


class EventRegistrator(RedisRegistrator):
    """What a broker of events and a router of events have in common."""

    def subscribe_event(
        self, stream: EventStream[M], *, group: str, limits: Limits | None = None, **options: Any
    ) -> EventSubscriber[M]:
        """Return a decorator: the function below it handles the stream's events for a group.

        The handler is called at least once for every event. When it returns, the entry is
        acknowledged; when it raises, it is called again, and after `limits.deliveries` failures
        the entry moves to the dead letters. `TryLaterError` does not count as a failure.

        Args:
            stream: what is read.
            group: the consumer group; every group sees every event, its members share them.
            limits: how it is read and tried again.
            options: `dependencies`, `parser` and `decoder`, as FastStream's subscribers take them.
        """
        config: Any = self.config
        subscriber = EventSubscriber(stream, group, limits or Limits(), config)
        Registrator.subscriber(self, subscriber)  # theirs for Redis makes one of its own kinds
        subscriber.add_call(
            parser_=options.pop("parser", None) or self._parser,
            decoder_=options.pop("decoder", None) or self._decoder,
            dependencies_=options.pop("dependencies", ()),
            **options,
        )
        return subscriber

    def publisher_of(self, stream: EventStream[M]) -> EventPublisher[M]:
        """Return a publisher of events, which the specification of this process names.

        One for each stream: asked for again, it is the same.
        """
        for known in self._publishers:
            if isinstance(known, EventPublisher) and known.events == stream:
                return known
        config: Any = self.config
        publisher = EventPublisher(stream, config)
        Registrator.publisher(self, publisher)
        return publisher


class EventRouter(EventRegistrator, RedisRouter):
    """A router of FastStream whose handlers a broker of events includes."""
