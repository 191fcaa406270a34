"""What can go wrong between a service and its streams.

    StreamError
    ├── EventRefusedError        the event will not be published; it is in the dead-letter stream
    ├── NotConnectedError        the broker was used before `connect` or after `close`
    ├── TooLateError        whether the event was published is not known any more
    └── ConsumerStoppedError     a consumer ended although nobody asked it to

    TryLaterError                raised BY a handler: the handler cannot work now, the event is fine

Redis being away is no error here: a publish waits, a consumer backs off, both go on when it is
back. Redis being full is waited for as well, but not for long. An error from Redis means "unknown",
never "not written". Redis refusing its user is none either: it ends the process
(`shared.streams.server.denial`).
"""

from shared.process import ProcessError


class StreamError(Exception):
    """Base of every error that the streams runtime raises."""


NO_ROOM = "Redis was full; the content was not kept"
"""Why an event is refused that waited in vain for room; its dead letter holds nothing else."""


class EventRefusedError(StreamError):
    """The event will not be published: too large, invalid, without room, or refused before.

    By the time this is raised the event stands in the dead-letter stream and its id is marked, so
    the same id will never be published as well.
    """

    def __init__(self, event_id: str, reason: str) -> None:
        super().__init__(f"event {event_id} was refused: {reason}")
        self.event_id = event_id
        self.reason = reason

    @property
    def kept(self) -> bool:
        """Whether the dead letter has the event's content; not where Redis was full."""
        return not self.reason.endswith(NO_ROOM)


class NotConnectedError(StreamError):
    """The broker was used before `connect` or after `close`."""


class TooLateError(StreamError):
    """An event was handed over too long ago, and was not published.

    Nobody knows whether another call has: what remembers its id may have run out meanwhile. Where
    the event came from something that repeats it, fetching it again is right; its sender can be
    told neither that it was published nor that it was not.
    """

    def __init__(self, event_id: str) -> None:
        super().__init__(f"event {event_id} was handed over too long ago to be published once")
        self.event_id = event_id


class ConsumerStoppedError(StreamError, ProcessError):
    """A consumer ended although nobody asked it to; the process should exit non-zero."""

    event = "the subscriber stopped by itself"


class TryLaterError(Exception):
    """A handler raises this when what it depends on is away: a database, another service.

    The entry is not at fault, so the delivery does not count against its limit; the consumer
    pauses with exponential backoff and tries again until the handler succeeds.
    """
