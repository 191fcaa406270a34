"""When the newest updates were fetched, handled, and confirmed to Telegram; for the console.

It is kept in the process alone: nothing is written for it, and a bot that was restarted has
forgotten it.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import time
from typing import Any

MOST = 2000
"""Updates that are remembered."""


class Moments:
    """What has become of the newest updates, and when.

    Args:
        bot_id: the bot whose updates they are; an event id of theirs begins with it.
    """

    def __init__(self, bot_id: str) -> None:
        self._bot = bot_id
        self._times: dict[int, dict[str, float]] = {}
        self._open: dict[int, dict[str, float]] = {}

    def fetched(self, updates: Iterable[Mapping[str, Any]]) -> None:
        """Note that Telegram has given updates that are new here."""
        now = time()
        for update in updates:
            number = update["update_id"]
            if number not in self._times:  # else it is given again, after somebody else had polled
                self._times[number] = self._open[number] = {"fetched": now}
        while len(self._times) > MOST:
            oldest = next(iter(self._times))
            del self._times[oldest]
            self._open.pop(oldest, None)

    def handled(self, number: int) -> None:
        """Note that what came of an update is durable."""
        if (times := self._times.get(number)) is not None:
            times["handled"] = time()

    def asked(self, offset: int) -> None:
        """Note that a getUpdates is sent with an offset: it confirms what lies below."""
        now = time()
        for number, times in self._open.items():
            if number < offset:
                times["asked"] = now

    def answered(self, offset: int) -> None:
        """Note that it was answered: what it confirms has been confirmed when it was sent."""
        for number in [number for number in self._open if number < offset]:
            times = self._open.pop(number)
            times["confirmed"] = times.pop("asked", time())

    def confirmed(self, number: int) -> None:
        """Note that a webhook answers with 200 for an update."""
        if (times := self._open.pop(number, None)) is not None:
            times["confirmed"] = time()

    def of(self, event_id: str) -> dict[str, str] | None:
        """Return the times of the update that an event is of, in ISO 8601; None where unknown."""
        bot, _, number = event_id.partition(":")
        number = number.partition(":")[0]
        if bot != self._bot or not number.isdecimal():
            return None
        times = self._times.get(int(number))
        if times is None:
            return None
        return {what: datetime.fromtimestamp(at, UTC).isoformat() for what, at in times.items()}
