"""A stream entry as FastStream's message, on which a handler can note a verdict."""

from typing import TYPE_CHECKING, Any, NotRequired

from faststream.exceptions import FeatureNotSupportedException
from faststream.redis.message import FAKE_CONSUMER, DefaultStreamMessage, RedisStreamMessage

from shared.streams.consume.delivery import DeliveryInfo, being_handled
from shared.streams.event.envelope import FIELD_BYTES, EventStream, Received, receive
from shared.streams.event.format import CloudEventsFormat

if TYPE_CHECKING:
    from shared.streams.consume.group import Entry


class EventEntry(DefaultStreamMessage):
    """What FastStream is handed: the entry, and what we know of it already.

    `message` is what became of it. TestBroker hands over entries without anything of ours.
    """

    received: NotRequired[Received[Any]]
    delivery: NotRequired[DeliveryInfo]
    message: NotRequired["EventMessage"]


class EventMessage(RedisStreamMessage):
    """One event; `ack`, `nack` and `reject` note what the subscriber is to do with its entry."""

    event: Any
    delivery: DeliveryInfo

    async def get_delivery_count(self, *_: Any, **__: Any) -> int:
        """Return how often the entry has been handed to a handler, this time included."""
        return self.delivery.attempt

    async def delete(self, *_: Any, **__: Any) -> None:
        """Refuse: entries are trimmed by who publishes, once every group has finished with them."""
        raise FeatureNotSupportedException("an event is not deleted by one of its readers")


def hand_over(entry: "Entry", received: Received[Any], delivery: DeliveryInfo) -> EventEntry:
    """Return an entry in the form that FastStream is given."""
    return EventEntry(
        type="stream",
        channel=delivery.stream,
        message_ids=[entry.id.encode()],
        data=entry.fields,
        received=received,
        delivery=delivery,
    )


async def parse(stream: EventStream[Any], group: str, raw: EventEntry) -> EventMessage:
    """Return the message of an entry, and have `current_delivery` tell of it.

    Raises:
        MalformedError: the entry holds no event of this stream.
    """
    received = raw.get("received") or receive(stream, raw["data"])
    delivery = raw.get("delivery") or DeliveryInfo(
        received.event_id, stream.name, "", 1, received.source
    )
    body, headers = CloudEventsFormat.parse(raw["data"][FIELD_BYTES])
    message = EventMessage(
        raw_message=raw,
        body=body,
        headers=headers,
        content_type=headers.get("content-type"),
        message_id=received.event_id,
        correlation_id=received.event_id,
        consumer=FAKE_CONSUMER,
        group=group,
    )
    message.event, message.delivery = received.event, delivery
    raw["message"] = message
    being_handled.set(delivery)
    return message
