"""Commands that people write to the bot in bursts, and where they have arrived."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import count

from tests.deploy.server import Server
from tests.deploy.steady import ASK_REDIS, POSTGRES, REDIS, Control

ARRIVES_WITHIN = 120.0
PENDING = ASK_REDIS % "XPENDING command_received backend"
NUMBERS = count()


class Traffic:
    """Everything that was written to the bot of one simulator."""

    def __init__(self, telegram: str) -> None:
        self._telegram = telegram
        self.sent: list[str] = []

    def write(self, number: int, word: str) -> list[str]:
        """Write so many commands, from ten users; return their texts, no two of which are equal."""
        texts = [f"/command {word} {next(NUMBERS)}" for _ in range(number)]
        writings = [{"text": text, "user": 7001 + place % 10} for place, text in enumerate(texts)]
        with closing(Control(self._telegram)) as control:
            control.ask("POST", "/sim/write_many", {"writings": writings})
        self.sent += texts
        return texts


def table(server: Server) -> Counter[str]:
    """Return the commands in the backend's table."""
    return Counter(server.sh(POSTGRES).splitlines())


def stream(server: Server) -> Counter[str]:
    """Return the commands in the stream."""
    entries = json.loads(server.sh(REDIS))
    return Counter(json.loads(fields[1])["data"]["command"] for _, fields in entries)


def unacknowledged(server: Server) -> int:
    """Return how many entries the backend has read and not acknowledged."""
    return int(json.loads(server.sh(PENDING))[0])


def wait_until_there(server: Server, wanted: Sequence[str]) -> None:
    """Wait until the stream and the table hold just these commands, each once."""
    deadline = time.monotonic() + ARRIVES_WITHIN
    expected = Counter(wanted)
    while (found := table(server)) != expected:
        if found - expected or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    compare("table", table(server), expected)
    compare("stream", stream(server), expected)


def compare(place: str, found: Counter[str], expected: Counter[str]) -> None:
    """Hold a place to what is expected there."""
    lost, more = expected - found, found - expected
    assert not lost, f"lost, not in the {place}: {sorted(lost)[:5]} of {lost.total()}"
    assert not more, f"doubled or strange in the {place}: {sorted(more)[:5]} of {more.total()}"
