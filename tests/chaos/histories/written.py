"""What users write in a history, and what is to happen when a group handles it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.generated.schemas import CommandReceived

BOT, CRON = "/tg_bot", "/cron"
GROUPS = ("table", "mail")
TOO_LARGE = "x" * 70_000

Key = tuple[str, str]
"""CloudEvents source and id: what makes an event that event."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens the first `times` that a group's handler has an event; then all is well."""

    kind: str = "works"
    times: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """What a user writes, and its fate with each group."""

    user: int
    table: Fate = Fate()
    mail: Fate = Fate()
    too_large: bool = False

    @property
    def fates(self) -> Mapping[str, Fate]:
        """Return the fates by their groups."""
        return dict(zip(GROUPS, (self.table, self.mail), strict=True))


@dataclass(frozen=True, slots=True)
class Update:
    """Something that was written, once; `written` in seconds of the history's clock."""

    number: int
    source: str
    text: Text
    written: float

    @property
    def key(self) -> Key:
        """Return the event's identity."""
        return self.source, f"42:{self.number}"

    @property
    def event(self) -> CommandReceived:
        """Return the event."""
        words = f"/command {self.source} {self.number}"
        return CommandReceived(
            command=words + (TOO_LARGE if self.text.too_large else ""),
            args=words.split()[1:],
            user_id=self.text.user,
            timestamp=datetime(2026, 1, 31, tzinfo=UTC),
        )
