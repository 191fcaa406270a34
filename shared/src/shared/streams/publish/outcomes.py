"""What becomes of an event that is published, and what the scripts say of it."""

from dataclasses import dataclass

from shared.streams.errors import EventRefusedError, TooLateError
from shared.streams.event.envelope import MAX_ENTRY_BYTES

DUPLICATE, REFUSED, LATE = "=", "!", "?"
"""How the publish script marks what it did not append; an entry id begins with a digit."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Where an event stands: the stream entry's id, and whether an earlier call put it there."""

    event_id: str
    entry_id: str
    duplicate: bool


Outcome = Publication | EventRefusedError | TooLateError


def published(event_id: str, answer: str) -> Outcome:
    """Return what the publish script said of one event."""
    if answer == LATE:
        return TooLateError(event_id)
    if answer[0] == REFUSED:
        return EventRefusedError(event_id, answer[1:])
    if answer[0] == DUPLICATE:
        return Publication(event_id, answer[1:], duplicate=True)
    return Publication(event_id, answer, duplicate=False)


def refused(event_id: str, state: bytes, value: bytes) -> Outcome:
    """Return what the refuse script said of one event."""
    if state == b"late":
        return TooLateError(event_id)
    if state == b"refused":
        return EventRefusedError(event_id, value.decode())
    return Publication(event_id, value.decode(), duplicate=True)


def too_large(payload: bytes) -> str:
    """Return why a payload of more than `MAX_ENTRY_BYTES` is refused."""
    return f"too large: {len(payload)} bytes, {MAX_ENTRY_BYTES} are allowed"
