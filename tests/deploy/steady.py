"""A steady stream of commands while something is deployed, and the claims that hold meanwhile.

Nothing is lost, nothing is doubled, two bots never poll at once, and somebody polls again soon.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.deploy.server import Server

EVERY = 0.1
MORE = 3
LOOK_EVERY = 0.02
USERS = 40
FIRST_USER = 7001
ARRIVES_WITHIN = 120.0
LONGEST_GAP = 60.0
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
REDIS = ASK_REDIS % "XRANGE command_received - +"
POSTGRES = (
    f"docker exec $({CONTAINER % 'postgres|store'}) "
    "psql -U herald -d herald -qAtX -c 'COPY commands (command) TO STDOUT'"
)


@dataclass(frozen=True)
class Row:
    """What one case came to.

    Attributes:
        case: What was done.
        seconds: How long that took.
        gap: The longest time without a getUpdates in flight, in seconds.
        commands: How many commands were written meanwhile.
    """

    case: str
    seconds: float
    gap: float
    commands: int


ROWS: list[Row] = []


class Control:
    """The simulator's control API over one connection."""

    def __init__(self, telegram: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(telegram).netloc, timeout=30)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the result of one request."""
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, path, text, headers)
        told = json.loads(self._connection.getresponse().read())
        assert told["ok"], told
        return told["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def bot(self) -> dict[str, Any]:
        """Return how the only bot stands."""
        bots = self.ask("GET", "/sim/overview")["bots"]
        return dict(bots[0]) if bots else {"polls": 0, "polls_in_flight": 0, "overlap_count": 0}


class Worker:
    """Does something again and again in a thread until it is stopped; an error ends it."""

    def __init__(self, telegram: str, every: float) -> None:
        self.control = Control(telegram)
        self._every = every
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def work(self) -> None:
        """Do it once."""
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it; raise what it failed with."""
        self._over.set()
        self._thread.join()
        self.control.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._over.is_set():
                self.work()
                due = max(due + self._every, time.monotonic())
                self._over.wait(due - time.monotonic())
        except BaseException as error:  # noqa: BLE001 - it is raised where the worker is stopped
            self._error = error


class Writer(Worker):
    """Writes commands as many users, in turn; each text is one of a kind."""

    def __init__(self, telegram: str, first: int) -> None:
        self._next = first
        self.sent: list[str] = []
        super().__init__(telegram, EVERY)

    def go_on(self) -> None:
        """Return when some more were written; an error of the writer is raised where it stops."""
        enough = len(self.sent) + MORE
        while len(self.sent) < enough and self.alive:
            time.sleep(EVERY)

    def work(self) -> None:
        """Write one command."""
        text = f"/command steady {self._next}"
        user = FIRST_USER + self._next % USERS
        self.control.ask("POST", "/sim/write", {"text": text, "user": user})
        self.sent.append(text)
        self._next += 1


class Watcher(Worker):
    """Looks whether somebody polls, and how long nobody did."""

    def __init__(self, telegram: str) -> None:
        self._polls = 0
        self._since: float | None = None
        self.gap = 0.0
        super().__init__(telegram, LOOK_EVERY)

    def work(self) -> None:
        """Look once; nobody is missed before the very first poll."""
        bot, now = self.control.bot(), time.monotonic()
        if self._since is not None:
            self.gap = max(self.gap, now - self._since)
        if bot["polls_in_flight"] or bot["polls"] != self._polls:
            self._since = now
        self._polls = bot["polls"]


class Steady:
    """All commands that were written for one server, and what became of them."""

    def __init__(self, telegram: str, server: Server) -> None:
        self._telegram = telegram
        self._server = server
        self.sent: list[str] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Write commands inside the block; then hold everything to the claims."""
        watcher, writer = Watcher(self._telegram), Writer(self._telegram, len(self.sent))
        began = time.monotonic()
        try:
            yield
            seconds = time.monotonic() - began
            writer.go_on()
        finally:
            writer.stop()
            self.sent += writer.sent
        try:
            self.all_arrive()
        finally:
            watcher.stop()
        ROWS.append(Row(name, seconds, watcher.gap, len(writer.sent)))
        with closing(Control(self._telegram)) as control:
            bot = control.bot()
        assert bot["overlap_count"] == 0, bot["overlaps"]
        assert bot["conflicts"] == 0
        assert watcher.gap < LONGEST_GAP

    def all_arrive(self) -> None:
        """Wait until everything is in the table; it and the stream then hold just what was sent."""
        deadline = time.monotonic() + ARRIVES_WITHIN
        wanted = Counter(self.sent)
        places = {"table": self.table, "stream": self.stream}
        for place, look in places.items():
            while (found := look()) is None or wanted - found:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.3)
            assert found is not None, f"nobody answers for the {place}"
            lost, more = wanted - found, found - wanted
            assert not lost, f"lost, not in the {place}: {sorted(lost)[:5]} of {len(lost)}"
            assert not more, f"doubled or strange in the {place}: {dict(more)}"

    def table(self) -> Counter[str] | None:
        """Return the commands in the backend's table; None where PostgreSQL is away."""
        told = self._ask(POSTGRES)
        return None if told is None else Counter(told.splitlines())

    def stream(self) -> Counter[str] | None:
        """Return the commands in the Redis stream; None where Redis is away."""
        told = self._ask(REDIS)
        if told is None:
            return None
        entries = json.loads(told)
        return Counter(json.loads(fields[1])["data"]["command"] for _, fields in entries)

    def _ask(self, script: str) -> str | None:
        try:
            return self._server.sh(script)
        except AssertionError:
            return None


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of what was measured."""
    width = max(len(row.case) for row in rows)
    yield f"{'case':<{width}}  seconds  longest gap between polls  commands"
    for row in rows:
        yield f"{row.case:<{width}}  {row.seconds:7.1f}  {row.gap:25.2f}  {row.commands:8}"
    gaps = sorted(row.gap for row in rows)
    total = sum(row.commands for row in rows)
    yield f"{total} commands, {len(rows)} cases; median gap {gaps[len(gaps) // 2]:.2f} s"
