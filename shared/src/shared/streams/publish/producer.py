"""What FastStream publishes through: what goes to a stream goes there idempotently."""

from typing import TYPE_CHECKING, Any

from faststream.redis.publisher.producer import RedisFastProducer
from faststream.redis.response import DestinationType, RedisPublishCommand
from faststream.response.publish_type import PublishType

from shared.streams.event.envelope import EventStream, MalformedError
from shared.streams.event.format import CloudEventsFormat
from shared.streams.publish.bulk import raw_of
from shared.streams.publish.outcomes import Publication
from shared.tracing import carrier, sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.streams.publish.outlet import Outlet


class EventCommand(RedisPublishCommand):
    """One publish of an event, as it passes through FastStream's middlewares."""

    def __init__(
        self, events: EventStream[Any], event: Any, event_id: str, headers: dict[str, Any]
    ) -> None:
        super().__init__(
            event,
            stream=events.name,
            correlation_id=event_id,
            headers={**headers, "type": events.name},
            message_format=CloudEventsFormat,
            _publish_type=PublishType.PUBLISH,
        )
        self.events = events
        self.event_id = event_id


class StreamProducer(RedisFastProducer):
    """FastStream's producer with one difference: what goes to a stream goes there idempotently.

    Args:
        outlet: returns where this process's events go; raises NotConnectedError where it is not
            connected.
    """

    __slots__ = ("_outlet",)

    def __init__(self, outlet: "Callable[[], Outlet]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._outlet = outlet

    @property
    def outlet(self) -> "Outlet":
        """Return where the events of this process go; raises NotConnectedError where nowhere."""
        return self._outlet()

    def _build_child(self, **kwargs: Any) -> "StreamProducer":
        """Hook of FastStream: the producer of one of its own publishers."""
        return StreamProducer(self._outlet, **kwargs)

    async def publish(self, cmd: RedisPublishCommand) -> Any:
        """Publish; the message's header `id`, or its correlation id, is the event id.

        Returns:
            What FastStream's commands return; for an event where it stands.
        """
        if cmd.destination_type is not DestinationType.Stream:
            return await super().publish(cmd)
        outlet = self.outlet
        if isinstance(cmd, EventCommand):
            outlet.keep_tidy(cmd.events)
        event_id = str(cmd.headers.get("id") or cmd.correlation_id)
        headers = {"source": outlet.source, "type": cmd.destination, **cmd.headers}
        with sending(str(cmd.destination), event_id=event_id):
            if "traceparent" not in headers:  # one that was given stays
                headers.update(carrier())
            publication = await self._publish(cmd, event_id, headers)
        return publication if isinstance(cmd, EventCommand) else publication.entry_id.encode()

    async def _publish(
        self, cmd: RedisPublishCommand, event_id: str, headers: dict[str, Any]
    ) -> Publication:
        """Publish, or refuse what JSON cannot hold."""
        events, source = self.outlet.publisher, str(headers["source"])
        try:
            payload = await cmd.message_format.encode(
                message=cmd.body,
                reply_to=cmd.reply_to,
                headers={**headers, "id": event_id},
                correlation_id=event_id,
                serializer=self.serializer,
                codec=self.codec,
            )
        except MalformedError as error:
            raw = raw_of(cmd.body)
            return await events.refuse(cmd.destination, source, event_id, raw, str(error))
        return await events.publish(cmd.destination, source, event_id, payload)
