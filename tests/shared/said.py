"""An event for these tests, with text that is not ASCII."""

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel

from shared.streams import EventStream


class Said(BaseModel):
    """An event of these tests."""

    text: str
    number: int
    at: AwareDatetime


SAID = EventStream(name="said", model=Said)


def said(number: int, text: str = "привет 🚀 שלום") -> Said:
    """Return an event that differs from others by its number."""
    return Said(text=text, number=number, at=datetime(2026, 1, 31, 12, tzinfo=UTC))
