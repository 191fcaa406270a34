"""Events on Redis Streams: each published once, each handled or kept as a dead letter.

What the generated code in `shared.generated.events` calls; services import from there.
"""

from shared.streams.broker import StreamBroker
from shared.streams.consume.delivery import Delivery, Handler
from shared.streams.consume.limits import Limits
from shared.streams.consume.state import ConsumerState
from shared.streams.consume.subscriber import EventSubscriber
from shared.streams.errors import (
    ConsumerStoppedError,
    EventRefusedError,
    NotConnectedError,
    StreamError,
    TooLateError,
    TryLaterError,
)
from shared.streams.event.envelope import EventStream, MalformedError, decode
from shared.streams.lease import Lease
from shared.streams.publish.endpoint import EventPublisher
from shared.streams.publish.observing import publishing
from shared.streams.publish.outcomes import Publication
from shared.streams.registrator import EventRouter

__all__ = [
    "ConsumerState",
    "ConsumerStoppedError",
    "Delivery",
    "EventPublisher",
    "EventRefusedError",
    "EventRouter",
    "EventStream",
    "EventSubscriber",
    "Handler",
    "Lease",
    "Limits",
    "MalformedError",
    "NotConnectedError",
    "Publication",
    "StreamBroker",
    "StreamError",
    "TooLateError",
    "TryLaterError",
    "decode",
    "publishing",
]
