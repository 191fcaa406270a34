"""How an event stands in a stream entry: one field with a CloudEvents 1.0 JSON object.

The object's `data` is the event itself, as a JSON object, so that `redis-cli XREAD` shows it to a
person and a client in any language can read it. Non-ASCII text stands as it is.

Sources: CloudEvents 1.0 JSON format (github.com/cloudevents/spec); the field's name is the one
that FastStream reads.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from faststream.redis.message import DATA_KEY
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from shared.keys import dead_letters_of
from shared.tracing import carrier, is_tracing

M = TypeVar("M", bound=BaseModel)

MAX_ENTRY_BYTES = 64 * 1024
"""A larger event is refused: Redis holds every entry in memory until it is trimmed."""
RETENTION = 7 * 86400.0
"""Seconds for which a stream keeps what every group has finished with, unless memory runs short."""
MAX_REASONS = 5
"""Faults of one event that its dead letter names."""
FIELD = DATA_KEY
FIELD_BYTES = FIELD.encode()


MAX_ID_LENGTH = 200
"""Characters of an event's id, and of its source: both are parts of keys."""
CONTROL = r"\x00-\x1f\x7f-\x9f"
"""What CloudEvents allows in no attribute, as a part of a regular expression."""


class MalformedError(ValueError):
    """The bytes are no event of the expected kind; the message says why, without the content.

    `event_id` and `source` are the event's own where they can be read, else empty.
    """

    def __init__(self, reason: str, *, event_id: str = "", source: str = "") -> None:
        super().__init__(reason)
        self.event_id = event_id
        self.source = source


@dataclass(frozen=True, slots=True)
class EventStream(Generic[M]):
    """A stream of one kind of event: its Redis key, also the CloudEvents type, and its model.

    `retention` is the age in seconds from which entries are trimmed that every group has finished
    with: one number for those who trim and those who remember what they have handled.
    """

    name: str
    model: type[M]
    retention: float = RETENTION

    @property
    def dead_letters(self) -> str:
        """Return the key of the stream that takes what could not be published or handled."""
        return dead_letters_of(self.name)


Attribute = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH, pattern=f"^[^{CONTROL}]+$")
]


ATTRIBUTE = re.compile(f"[^{CONTROL}]+")


def is_attribute(text: str) -> bool:
    """Whether a text may be the value of a CloudEvents attribute."""
    return ATTRIBUTE.fullmatch(text) is not None


def check_id(event_id: str) -> str:
    """Return the event id, or raise ValueError where it could not be one."""
    if not 0 < len(event_id) <= MAX_ID_LENGTH:
        raise ValueError(f"an event id has 1 to {MAX_ID_LENGTH} characters, not {len(event_id)}")
    if not is_attribute(event_id):
        raise ValueError("an event id has no control characters")
    return event_id


class Envelope(BaseModel):
    """The CloudEvents attributes that Herald writes and reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """An event as it was received; source and id together identify it."""

    event_id: str
    source: str
    event: M


def encode(event: BaseModel, *, event_id: str, kind: str, source: str) -> bytes:
    """Return the entry's field value for an event, in UTF-8; it carries the trace it is made in.

    Raises:
        MalformedError: the event holds what JSON cannot, such as a lone surrogate.
    """
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        "data": event,
    }
    if is_tracing():
        attributes |= carrier()
    return written(attributes)


def written(attributes: dict[str, Any]) -> bytes:
    """Return an envelope in UTF-8; raises MalformedError where JSON cannot hold it."""
    try:
        return to_json(attributes)
    except PydanticSerializationError as error:
        reason = f"not representable as JSON: {error}"
        identity = {"event_id": attributes["id"], "source": attributes["source"]}
        raise MalformedError(reason, **identity) from None


def decode(stream: EventStream[M], fields: dict[bytes, bytes]) -> tuple[str, M]:
    """Return the event id and the event of one entry, whoever wrote it.

    Raises:
        MalformedError: as `receive` does.
    """
    received = receive(stream, fields)
    return received.event_id, received.event


def receive(stream: EventStream[M], fields: dict[bytes, bytes]) -> Received[M]:
    """Return the event of one entry with its identity, whoever wrote it.

    Raises:
        MalformedError: the entry has no such field, no envelope of this version and the stream's
            type, or data that does not fit.
    """
    raw = fields.get(FIELD_BYTES)
    if raw is None:
        raise MalformedError(f"the entry has no field {FIELD!r}")
    try:
        envelope = Envelope.model_validate_json(raw)
        if envelope.type != stream.name:
            raise MalformedError(f"type: it is not {stream.name!r}", **_identity(raw))
        event = stream.model.model_validate_json(to_json(envelope.data))
    except ValidationError as error:
        raise MalformedError(_reasons(error), **_identity(raw)) from None
    return Received(envelope.id, envelope.source, event)


def _identity(raw: bytes) -> dict[str, str]:
    """Return what can be read of an event's identity in a broken envelope."""
    try:
        content = from_json(raw)
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    names = {"event_id": "id", "source": "source"}
    return {
        name: value[:MAX_ID_LENGTH]
        for name, key in names.items()
        if isinstance(value := content.get(key), str)
    }


def _reasons(error: ValidationError) -> str:
    """Return what pydantic found, without the values that it found it in."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    shown = [f"{'.'.join(map(str, f['loc'])) or 'event'}: {f['msg']}" for f in faults[:MAX_REASONS]]
    more = len(faults) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)
