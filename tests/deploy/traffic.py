"""Commands that people write to the bot, and where they have arrived."""

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from itertools import count

from tests.deploy.server import Server

ARRIVES_WITHIN = 120.0
OF = "docker exec $(docker ps -q --filter label=com.docker.compose.service="
OPERATOR = (
    'REDISCLI_AUTH="$(cat /run/secrets/REDIS_OPERATOR_PASSWORD)" exec redis-cli --user operator '
    "--no-auth-warning --json "
)
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
        request = urllib.request.Request(  # noqa: S310 - http, of this test
            f"{self._telegram}/sim/write_many",
            json.dumps({"writings": writings}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert json.loads(answer.read())["ok"]
        self.sent += texts
        return texts


def table(server: Server) -> Counter[str]:
    """Return the commands in the backend's table."""
    sql = "psql -U herald -d herald -qAtX -c 'SELECT command FROM commands'"
    return Counter(server.sh(f"{OF}postgres) {sql}").splitlines())


def stream(server: Server) -> Counter[str]:
    """Return the commands in the stream."""
    told = server.sh(f"{OF}redis) sh -c '{OPERATOR}XRANGE command_received - +'")
    return Counter(json.loads(fields[1])["data"]["command"] for _, fields in json.loads(told))


def unacknowledged(server: Server) -> int:
    """Return how many entries the backend has read and not acknowledged."""
    told = server.sh(f"{OF}redis) sh -c '{OPERATOR}XPENDING command_received backend'")
    return int(json.loads(told)[0])


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
