"""How an event stands in a stream entry: one field with a CloudEvents 1.0 JSON object.

The object's `data` is the event itself, as a JSON object, so that `redis-cli XREAD` shows it to a
person and a client in any language can read it. Non-ASCII text stands as it is.

Sources: CloudEvents 1.0 JSON format (github.com/cloudevents/spec); the field's name is the one
that FastStream reads.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from faststream.redis.message import DATA_KEY
from faststream.redis.parser import MessageFormat
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from shared.keys import dead_letters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faststream._internal.basic_types import SendableMessage

M = TypeVar("M", bound=BaseModel)

MAX_ENTRY_BYTES = 64 * 1024
"""A larger event is refused: Redis holds every entry in memory until it is trimmed."""
RETENTION = 7 * 86400.0
"""Seconds for which a stream keeps what every group has finished with, unless memory runs short."""
FIELD = DATA_KEY
FIELD_BYTES = FIELD.encode()


class Malformed(ValueError):  # noqa: N818 — reads as the verdict it is
    """The bytes are no event of the expected kind; the message says why, without the content."""


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


class Envelope(BaseModel):
    """The CloudEvents attributes that Herald writes and reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: str
    id: str
    source: str
    type: str
    data: dict[str, Any]


def encode(event: BaseModel, *, event_id: str, kind: str, source: str) -> bytes:
    """Return the entry's field value for an event, in UTF-8.

    Raises:
        Malformed: the event holds what JSON cannot, such as a lone surrogate.
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
    try:
        return to_json(attributes)
    except PydanticSerializationError as error:
        raise Malformed(f"not representable as JSON: {error}") from None


def decode(stream: EventStream[M], fields: dict[bytes, bytes]) -> tuple[str, M]:
    """Return the event id and the event of one entry, whoever wrote it.

    Raises:
        Malformed: the entry has no such field, no valid envelope, or data that does not fit.
    """
    raw = fields.get(FIELD_BYTES)
    if raw is None:
        raise Malformed(f"the entry has no field {FIELD!r}")
    try:
        envelope = Envelope.model_validate_json(raw)
        return envelope.id, stream.model.model_validate_json(to_json(envelope.data))
    except ValidationError as error:
        raise Malformed(_reasons(error)) from None


def _reasons(error: ValidationError) -> str:
    """Return what pydantic found, without the values that it found it in."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, f['loc'])) or 'event'}: {f['msg']}" for f in found)


class CloudEventsFormat(MessageFormat):
    """The same envelope as FastStream's message format, so that its subscribers read our streams.

    FastStream's own binary format counts header lengths in characters, which corrupts non-ASCII
    headers, and cannot be read in redis-cli.
    """

    __slots__ = ()

    @classmethod
    async def encode(  # noqa: PLR0913 — the signature is FastStream's
        cls,
        *,
        message: "Sequence[SendableMessage] | SendableMessage",
        reply_to: str | None,
        headers: dict[str, Any] | None,
        correlation_id: str,
        serializer: Any = None,
        codec: Any = None,
    ) -> bytes:
        """Return the envelope of a message published through FastStream."""
        given = headers or {}
        body = message
        if not isinstance(message, BaseModel):
            built = await cls.build(
                message=message,
                reply_to=reply_to,
                headers=headers,
                correlation_id=correlation_id,
                serializer=serializer,
                codec=codec,
            )
            body = from_json(built.data)
        return to_json(
            {
                "specversion": "1.0",
                "id": given.get("id", correlation_id),
                "source": given.get("source", "/"),
                "type": given.get("type", type(message).__name__),
                "time": datetime.now(UTC),
                "datacontenttype": "application/json",
                "data": body,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> tuple[bytes, dict[str, Any]]:
        """Return the body and the attributes as headers; bare bytes are a body without headers."""
        try:
            envelope = from_json(data)
            body = to_json(envelope.pop("data"))
        except (ValueError, KeyError, AttributeError, TypeError):
            return data, {}
        headers = {key: str(value) for key, value in envelope.items()}
        headers["content-type"] = headers.pop("datacontenttype", "application/json")
        headers["correlation_id"] = headers["message_id"] = headers.get("id", "")
        return body, headers
