"""What the stores on a test server hold: the stream in Redis, the backend's table in PostgreSQL."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from deploy.release.smoke import EVENT
from tests.deploy.server import Server

STREAM = EVENT
ARRIVES_WITHIN = 120.0
LABEL = "label=com.docker.compose.service"
# Whatever the stack calls its stores.
CONTAINER = (
    "docker ps --format '{{.ID}} {{.Label \"com.docker.compose.service\"}}' | "
    "awk '$2 ~ /^(%s)$/ {print $1}'"
)
ASK_REDIS = (
    f"docker exec $({CONTAINER % 'redis|events'}) sh -c '"
    'REDISCLI_AUTH="$(cat /run/secrets/*_OPERATOR_PASSWORD)" exec redis-cli --user operator '
    "--no-auth-warning --json %s'"
)
TABLE = (
    f"docker exec $({CONTAINER % 'postgres|store'}) "
    "psql -U herald -d herald -qAtX -c 'COPY commands (command) TO STDOUT'"
)


def ask_redis(server: Server, command: str) -> Any:
    """Return what Redis answers the operator."""
    return json.loads(server.sh(ASK_REDIS % command))


def table(server: Server) -> Counter[str]:
    """Return the commands in the backend's table."""
    return Counter(server.sh(TABLE).splitlines())


def stream(server: Server) -> Counter[str]:
    """Return the commands in the stream."""
    entries = ask_redis(server, f"XRANGE {STREAM} - +")
    return Counter(json.loads(fields[1])["data"]["command"] for _, fields in entries)


def unacknowledged(server: Server) -> int:
    """Return how many entries the backend has read and not acknowledged."""
    return int(ask_redis(server, f"XPENDING {STREAM} backend")[0])


def wait_until_there(server: Server, wanted: Sequence[str]) -> None:
    """Wait until the table and the stream hold just these commands, each once.

    Either store may be away meanwhile.
    """
    deadline = time.monotonic() + ARRIVES_WITHIN
    expected = Counter(wanted)
    for place, look in (("table", table), ("stream", stream)):
        while (there := _look(look, server)) is None or expected - there:
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert there is not None, f"nobody answers for the {place}"
        lost, more = expected - there, there - expected
        assert not lost, f"lost, not in the {place}: {sorted(lost)[:5]} of {lost.total()}"
        assert not more, f"doubled or strange in the {place}: {sorted(more)[:5]} of {more.total()}"


def _look(look: Callable[[Server], Counter[str]], server: Server) -> Counter[str] | None:
    try:
        return look(server)
    except AssertionError:
        return None
