"""What an entry of a dead-letter stream holds."""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.streams.envelope import FIELD, FIELD_BYTES

MAX_PAYLOAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be published, or an entry that a group could not handle.

    `group` and `entry_id` are empty for what was refused when it was published. `deliveries`
    counts how often the entry was handed to a handler. A payload over 1 MiB is cut.
    """

    event_id: str
    payload: bytes
    reason: str
    group: str = ""
    entry_id: str = ""
    deliveries: int = 0

    def fields(self) -> list[str | bytes | int]:
        """Return the stream entry's fields and values, flat, as XADD takes them."""
        return [
            *("event_id", self.event_id, "reason", self.reason),
            *("group", self.group, "entry_id", self.entry_id, "deliveries", self.deliveries),
            *("time", datetime.now(UTC).isoformat(), FIELD, self.payload[:MAX_PAYLOAD_BYTES]),
        ]

    @classmethod
    def parse(cls, fields: dict[bytes, bytes]) -> "DeadLetter":
        """Read an entry back; what it lacks is empty."""
        text = {key.decode(): value.decode(errors="replace") for key, value in fields.items()}
        return cls(
            event_id=text.get("event_id", ""),
            payload=fields.get(FIELD_BYTES, b""),
            reason=text.get("reason", ""),
            group=text.get("group", ""),
            entry_id=text.get("entry_id", ""),
            deliveries=int(text.get("deliveries", 0)),
        )
