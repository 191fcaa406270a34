"""What an entry of a dead-letter stream holds."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.streams.event.envelope import FIELD, FIELD_BYTES

MAX_PAYLOAD_BYTES = 1024 * 1024
OTHERS = "fields"
NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be published, or an entry that a group could not handle.

    `event_id` and `source` identify the event; they are empty where they could not be read.
    `group` and `entry_id` are empty for what was refused when it was published. `deliveries`
    counts how often the entry was handed to a handler. `others` are the fields that somebody
    else's entry had beside the payload, or instead of it, as `other_fields` writes them. A payload
    over 1 MiB is cut. `time` is when the letter was written, in ISO 8601.
    """

    event_id: str
    payload: bytes
    reason: str
    source: str = ""
    group: str = ""
    entry_id: str = ""
    deliveries: int = 0
    others: bytes = b""
    time: str = ""

    def fields(self) -> list[str | bytes | int]:
        """Return the stream entry's fields and values, flat, as XADD takes them."""
        time = self.time or datetime.now(UTC).isoformat()
        return [
            *("event_id", self.event_id, "source", self.source, "reason", self.reason),
            *("group", self.group, "entry_id", self.entry_id, "deliveries", self.deliveries),
            *("time", time, FIELD, self.payload[:MAX_PAYLOAD_BYTES]),
            *((OTHERS, self.others) if self.others else ()),
        ]

    @classmethod
    def parse(cls, fields: dict[bytes, bytes]) -> "DeadLetter":
        """Read an entry back, whatever it is: what it lacks, or has in no such form, is empty."""
        text = {
            key.decode(errors="replace"): value.decode(errors="replace")
            for key, value in fields.items()
        }
        count = text.get("deliveries", "")
        return cls(
            event_id=text.get("event_id", ""),
            source=text.get("source", ""),
            payload=fields.get(FIELD_BYTES, b""),
            reason=text.get("reason", ""),
            group=text.get("group", ""),
            entry_id=text.get("entry_id", ""),
            deliveries=int(count) if NUMBER.fullmatch(count) else 0,
            others=fields.get(OTHERS.encode(), b""),
            time=text.get("time", ""),
        )


def other_fields(fields: dict[bytes, bytes]) -> bytes:
    """Return the fields of an entry besides the payload as a JSON object; nothing for none.

    Bytes that are no UTF-8 stand in it as they are: `fields_of` gives every field back.
    """
    others = {_text(key): _text(value) for key, value in fields.items() if key != FIELD_BYTES}
    if not others:
        return b""
    return json.dumps(others, ensure_ascii=False).encode(errors="surrogateescape")


def fields_of(others: bytes) -> dict[bytes, bytes]:
    """Return the fields that `other_fields` wrote; what it did not write is one field."""
    try:
        content = json.loads(_text(others)) if others else {}
        return {_bytes(name): _bytes(value) for name, value in content.items()}
    except (ValueError, AttributeError, RecursionError):
        return {OTHERS.encode(): others}


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
