"""How the streams look at a terminal."""

import json
from collections.abc import Sequence
from datetime import datetime

from shared.dead_letters import printable
from shared.tail.entries import Content

RESET, BOLD, DIM, RED, YELLOW = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"
HUES = ("\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[32m")
"""Colours of streams, in turn."""
LONGEST = 240
"""Characters of one value that are shown."""
MINUTE, HOUR, DAY = 60, 3600, 86400


class Look:
    """Makes lines of messages.

    Args:
        colours: whether the lines are coloured.
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._hues: dict[str, str] = {}

    def entry(self, entry: Content) -> str:
        """Return the line of an entry."""
        data = entry["data"]
        if isinstance(data, dict):
            values = "  ".join(f"{self._in(DIM, f'{k}=')}{_value(v)}" for k, v in data.items())
        else:
            values = _cut(printable(data))
        return f"{self._place(entry)}  {values}{self._identity(entry)}"

    def letter(self, letter: Content) -> str:
        """Return the line of a dead letter."""
        who = letter["group"]
        by = f"group {printable(who)}, {letter['deliveries']} deliveries" if who else "publish"
        reason = self._in(RED, f"dead letter: {_cut(printable(letter['reason']))}")
        return f"{self._place(letter)}  {reason}  {self._in(DIM, by)}{self._identity(letter)}"

    def notice(self, text: str) -> str:
        """Return the line of what is said about the following itself."""
        return self._in(YELLOW, printable(text))

    def status(self, streams: Sequence[Content]) -> str:
        """Return lag, pending entries and dead letters of every stream in one line."""
        return "   ".join(self._standing(stream) for stream in streams)

    def _standing(self, stream: Content) -> str:
        groups = [
            f"{printable(group['group'])} lag {_lag(group)}, pending {group['pending']}"
            for group in stream["groups"]
        ]
        letters = stream["dead_letters"]
        dead = self._in(RED if letters else DIM, f"dead letters {letters}")
        parts = [*(groups or ["no group"]), dead]
        return f"{self._in(BOLD, printable(stream['stream']))} {' · '.join(parts)}"

    def _place(self, entry: Content) -> str:
        moment = datetime.fromisoformat(entry["time"]).astimezone()
        stream = printable(entry["stream"])
        hue = self._hues.setdefault(stream, HUES[len(self._hues) % len(HUES)])
        time, place = f"{moment:%H:%M:%S}", entry["id"]
        return f"{self._in(DIM, time)}  {self._in(hue, stream)}  {self._in(DIM, place)}"

    def _identity(self, entry: Content) -> str:
        words = printable(f"{entry['source']} {entry['event_id']}").strip()
        return f"  {self._in(DIM, words)}" if words else ""

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{RESET}" if self._colours else text


def _value(value: object) -> str:
    return _cut(printable(json.dumps(value, ensure_ascii=False)))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _lag(group: Content) -> str:
    """Return how many entries a group has not read and for how long; `unknown` where nobody can."""
    lag, seconds = group["lag"], group["lag_seconds"]
    if lag is None:
        return "unknown"
    return f"{lag} ({_duration(seconds)})" if lag and seconds is not None else str(lag)


def _duration(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
