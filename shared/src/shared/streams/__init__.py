"""Events on Redis Streams: each published once, each handled or kept as a dead letter.

What the generated code in `shared.generated.events` calls; services import from there.
"""

from shared.streams.broker import StreamBroker
from shared.streams.consume.consumer import Consumer, ConsumerState
from shared.streams.consume.hand import Delivery, Handler
from shared.streams.consume.limits import Limits
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
from shared.streams.publish.outcomes import Publication

__all__ = [
    "Consumer",
    "ConsumerState",
    "ConsumerStoppedError",
    "Delivery",
    "EventRefusedError",
    "EventStream",
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
]
