"""What can be said of an update that failed, without saying what its sender wrote."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_REASON = 500
HIDDEN = "…"


class HandlingError(Exception):
    """An update failed in a handler; the message is a reason without anybody's text."""


def reason_of(error: Exception, raw: Any) -> str:
    """Return an error's type and message; what the message quotes of the update is left out."""
    message = str(error)
    for word in sorted(set(_words(raw)), key=len, reverse=True):
        message = message.replace(word, HIDDEN)
    return f"{type(error).__name__}: {message}"[:LONGEST_REASON].removesuffix(": ")


def where_of(error: Exception) -> str:
    """Return the line of code that raised, and the innermost of the bot's own before it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == Path(__file__).parent]
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in (*frames[-1:], *own[-1:])]
    return " < ".join(dict.fromkeys(places))


def _words(raw: Any) -> Iterator[str]:
    """Yield every text in an update and every word of it, also as Python quotes them.

    What is shorter than two characters says nothing, and would tear every message.
    """
    waiting = [raw]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            for text in (part, *part.split()):
                yield from (form for form in (text, repr(text)[1:-1]) if len(form) > 1)
