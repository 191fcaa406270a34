"""Our publisher as FastStream's: known to it, and still idempotent, ordered and grouped.

Where there is no middleware, what it publishes goes to the outlet at once. Otherwise it is a
command that passes through the middlewares, and then the same way.
"""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faststream.redis import StreamSub
from faststream.redis.publisher.config import (
    RedisPublisherConfig,
    RedisPublisherSpecificationConfig,
)
from faststream.redis.publisher.specification import StreamPublisherSpecification
from faststream.redis.publisher.usecase import StreamPublisher
from pydantic import BaseModel

from shared.streams.consume.delivery import being_handled
from shared.streams.event.envelope import EventStream
from shared.streams.publish.outcomes import Publication
from shared.streams.publish.producer import EventCommand, StreamProducer

if TYPE_CHECKING:
    from faststream.redis.configs import RedisBrokerConfig
    from faststream.response import PublishCommand

M = TypeVar("M", bound=BaseModel)

ANSWERS = uuid.UUID("2d0b3c3e-6a4f-5d0a-9f5e-4f1f0d9f6c11")
"""The namespace of the ids of events that a handler returns."""


class EventPublisher(StreamPublisher, Generic[M]):
    """Publishes events to one stream.

    As a decorator, above the one that subscribes, it publishes what the handler returns, and
    nothing where that is None. The event's id follows from the one that was handled: handled again,
    it is not published again.
    """

    def __init__(self, events: EventStream[M], config: "RedisBrokerConfig") -> None:
        self.events = events
        target = StreamSub(events.name)
        super().__init__(
            RedisPublisherConfig(reply_to="", headers=None, _outer_config=config),
            StreamPublisherSpecification(
                config,
                RedisPublisherSpecificationConfig(
                    schema_=events.model, title_=None, description_=None
                ),
                target,
            ),
            stream=target,
        )

    @property
    def stream(self) -> StreamSub[Any]:
        """Return the stream as FastStream has it; theirs is a deep copy for every message."""
        return self._stream

    async def start(self) -> None:
        """Nothing: the broker's own producer is the one."""

    async def publish(  # type: ignore[override]  # an event, and no destination: it has one
        self, message: M, *, event_id: str | None = None, headers: dict[str, Any] | None = None
    ) -> Publication:
        """Append an event to the stream, once for one event id.

        What it promises and raises stands at `StreamBroker.publish_event`.

        Args:
            message: what happened.
            event_id: what makes it the same event when it is published again.
            headers: extension attributes of CloudEvents, such as `traceparent`.
        """
        producer = self._outer_config.producer
        if not headers and isinstance(producer, StreamProducer) and not self._has_middlewares:
            return await producer.outlet.publish(self.events, message, event_id)
        command = EventCommand(self.events, message, event_id or str(uuid.uuid4()), headers or {})
        return await self._send(command, ())

    async def _publish(self, cmd: "PublishCommand", *, _extra_middlewares: Iterable[Any]) -> None:
        """Publish what a handler has returned; FastStream calls this."""
        if cmd.body is None:
            return
        event = self.events.model.model_validate(cmd.body)
        await self._send(
            EventCommand(self.events, event, self._answer_id(), cmd.headers), _extra_middlewares
        )

    async def _send(self, command: EventCommand, middlewares: Iterable[Any]) -> Publication:
        outcome = await self._basic_publish(
            command, producer=self._outer_config.producer, _extra_middlewares=middlewares
        )
        if isinstance(outcome, Publication):
            return outcome
        return Publication(command.event_id, "", duplicate=False)  # TestBroker has no entries

    @property
    def _has_middlewares(self) -> bool:
        return bool(self._outer_config.broker_middlewares)

    def _answer_id(self) -> str:
        """Return the id of what a handler returns for the event that it handles."""
        delivery, subscriber = being_handled.get(), self._outer_config.context.get("handler_")
        who = (subscriber.group, delivery.stream, delivery.source, delivery.event_id)
        return str(uuid.uuid5(ANSWERS, "\n".join(who)))
