"""The envelope of our streams as FastStream's message format.

Its subscribers and publishers read and write our streams with it. FastStream's own binary format
counts header lengths in characters, which corrupts non-ASCII headers, and cannot be read in
redis-cli.
"""

import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from faststream.redis.parser import MessageFormat
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from shared.streams.event.envelope import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faststream._internal.basic_types import SendableMessage

EXTENSION = re.compile(r"(?!data$)[a-z0-9]{1,20}")
"""How CloudEvents wants attributes to be called; none is called `data`."""


class CloudEventsFormat(MessageFormat):
    """A CloudEvents 1.0 JSON object for each message.

    Text is a JSON string, nothing is null, and what is neither JSON nor text is `data_base64`.
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
        """Return the envelope of a message published through FastStream.

        Headers that could be CloudEvents extension attributes, such as `traceparent`, are kept.

        Raises:
            MalformedError: the message holds what JSON cannot, such as a lone surrogate.
        """
        given = headers or {}
        data: dict[str, Any] = {"datacontenttype": "application/json", "data": message}
        if not isinstance(message, BaseModel | str):
            built = await cls.build(
                message=message,
                reply_to=reply_to,
                headers=headers,
                correlation_id=correlation_id,
                serializer=serializer,
                codec=codec,
            )
            data = _data(built.data)
        return written(
            {
                **{key: str(value) for key, value in given.items() if EXTENSION.fullmatch(key)},
                "specversion": "1.0",
                "id": given.get("id", correlation_id),
                "source": given.get("source", "/"),
                "type": given.get("type", type(message).__name__),
                "time": datetime.now(UTC),
                **data,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> tuple[bytes, dict[str, Any]]:
        """Return the body and the attributes as headers; bare bytes are a body without headers."""
        try:
            envelope = from_json(data)
        except ValueError:
            return data, {}
        if not isinstance(envelope, dict) or "specversion" not in envelope:
            return data, {}
        raw = envelope.pop("data_base64", None)
        body = to_json(envelope.pop("data", None)) if raw is None else b64decode(raw)
        headers = {key: str(value) for key, value in envelope.items()}
        if raw is None:
            headers["content-type"] = headers.pop("datacontenttype", "application/json")
        headers["correlation_id"] = headers["message_id"] = headers.get("id", "")
        return body, headers


def _data(raw: bytes) -> dict[str, Any]:
    """Return the attributes that hold a message's body."""
    if not raw:
        return {"datacontenttype": "application/json", "data": None}
    try:
        return {"datacontenttype": "application/json", "data": from_json(raw)}
    except ValueError:
        return {"data_base64": b64encode(raw).decode()}
