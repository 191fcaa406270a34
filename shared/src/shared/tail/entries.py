"""An entry of a stream, or of its dead letters, as a person or a program is shown it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json

from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD_BYTES
from shared.streams.event.moments import moment

Content = dict[str, Any]
"""A JSON object."""

AGO = re.compile(r"([0-9]{1,9})(s|min|m|h|d)")
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
DEEPEST = 8
"""Levels of an event below which no user is looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is meant: entries of one event, of one user; None for all."""

    event: str | None = None
    user: int | None = None

    def takes(self, entry: Content) -> bool:
        """Say whether an entry is meant."""
        if self.event is not None and entry["stream"] != self.event:
            return False
        return self.user is None or self.user in users_of(entry["data"])


def described(stream: str, id_: bytes, fields: Mapping[bytes, bytes], *, dead: bool) -> Content:
    """Return an entry as JSON has it, whoever wrote it.

    Returns:
        `stream`, `id`, `time` (ISO 8601, when it was added), `event_id`, `source` and `data`, the
        event; a text where it is none. A dead letter has `reason`, `group` and `deliveries` too.
    """
    name = id_.decode()
    entry: Content = {"stream": stream, "id": name, "time": time_of(name).isoformat()}
    if dead:
        letter = DeadLetter.parse(dict(fields))
        entry |= {"reason": letter.reason, "group": letter.group, "deliveries": letter.deliveries}
        raw = letter.payload
        identity = {"event_id": letter.event_id, "source": letter.source}
    else:
        raw = fields.get(FIELD_BYTES, b"")
        identity = {"event_id": "", "source": ""}
    envelope = _object(raw)
    entry["event_id"] = identity["event_id"] or str(envelope.get("id", ""))
    entry["source"] = identity["source"] or str(envelope.get("source", ""))
    data = envelope.get("data")
    return entry | {"data": data if isinstance(data, dict) else raw.decode(errors="replace")}


def time_of(id_: str) -> datetime:
    """Return when an entry was added, by its id."""
    return moment(int(id_.partition("-")[0]))


def since(text: str, now: datetime) -> str:
    """Return the id after which entries are read, for `10min`, `2h`, `1d` or an ISO 8601 time.

    Raises:
        ValueError: it is none of these; the message says what to write.
    """
    if ago := AGO.fullmatch(text):
        moment = now - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            example = "write 30s, 10min, 2h, 1d or a time such as 2026-01-31T12:00"
            raise ValueError(f"since={text} is no time: {example}") from None
    milliseconds = max(1, int(moment.timestamp() * 1000))
    return f"{milliseconds - 1}-{2**64 - 1}"


def users_of(value: Any, depth: int = 0) -> set[int]:
    """Return the users that an event names: as `user_id`, or in a `from` as Telegram writes it."""
    return set(_users(value, depth))


def _users(value: Any, depth: int) -> Iterator[int]:
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _users(item, depth + 1)
    elif isinstance(value, dict):
        sender = value.get("from")
        for user in (value.get("user_id"), sender.get("id") if isinstance(sender, dict) else None):
            if isinstance(user, int):
                yield user
        for item in value.values():
            yield from _users(item, depth + 1)


def _object(raw: bytes) -> Content:
    """Return a JSON object; an empty one where it is none, or JSON could not say it again."""
    try:
        content = from_json(raw, allow_inf_nan=False)
        json.dumps(content, allow_nan=False)  # of 1e400 an infinity is read
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
