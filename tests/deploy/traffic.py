"""Commands that people write to a bot, in bursts or steadily while something is deployed.

The claims that hold meanwhile: nothing is lost, nothing is doubled, two bots never poll at once,
and somebody polls again soon.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.deploy.server import Server
from tests.deploy.stores import wait_until_there
from tests.deploy.telegram import Control

EVERY = 0.1
MORE = 3
LOOK_EVERY = 0.02
USERS = 40
FIRST_USER = 7001
LONGEST_GAP = 60.0
NUMBERS = count()


def command(word: str) -> dict[str, Any]:
    """Return a command of one user; no two have the same text."""
    number = next(NUMBERS)
    return {"text": f"/command {word} {number}", "user": FIRST_USER + number % USERS}


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
    """Writes commands as many users, in turn."""

    def __init__(self, telegram: str) -> None:
        self.sent: list[str] = []
        super().__init__(telegram, EVERY)

    def go_on(self) -> None:
        """Return when some more were written; an error of the writer is raised where it stops."""
        enough = len(self.sent) + MORE
        while len(self.sent) < enough and self.alive:
            time.sleep(EVERY)

    def work(self) -> None:
        """Write one command."""
        writing = command("steady")
        self.control.ask("POST", "/sim/write", writing)
        self.sent.append(writing["text"])


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


class Traffic:
    """Everything that was written to the bot of one server.

    Attributes:
        server: Whose stores are to hold it.
        sent: The texts.
    """

    def __init__(self, telegram: str, server: Server) -> None:
        self._telegram = telegram
        self.server = server
        self.sent: list[str] = []

    def write(self, number: int, word: str) -> list[str]:
        """Write so many commands at once; return their texts."""
        writings = [command(word) for _ in range(number)]
        with closing(Control(self._telegram)) as control:
            control.ask("POST", "/sim/write_many", {"writings": writings})
        texts = [writing["text"] for writing in writings]
        self.sent += texts
        return texts

    @contextmanager
    def written(self) -> Iterator[Writer]:
        """Write commands steadily inside the block, and some more at its end."""
        writer = Writer(self._telegram)
        try:
            yield writer
            writer.go_on()
        finally:
            writer.stop()
            self.sent += writer.sent

    @contextmanager
    def case(self, name: str, longest: float = LONGEST_GAP) -> Iterator[None]:
        """Write commands steadily inside the block; then hold everything to the claims.

        Args:
            name: What is done.
            longest: For how many seconds nobody may poll.
        """
        watcher, before = Watcher(self._telegram), len(self.sent)
        began = time.monotonic()
        try:
            with self.written():
                yield
                seconds = time.monotonic() - began
            wait_until_there(self.server, self.sent)
        finally:
            watcher.stop()
        ROWS.append(Row(name, seconds, watcher.gap, len(self.sent) - before))
        with closing(Control(self._telegram)) as control:
            bot = control.bot()
        assert bot["overlap_count"] == 0, bot["overlaps"]
        assert bot["conflicts"] == 0
        assert watcher.gap < longest


def measured(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of what was measured."""
    width = max(len(row.case) for row in rows)
    yield f"{'case':<{width}}  seconds  longest gap between polls  commands"
    for row in rows:
        yield f"{row.case:<{width}}  {row.seconds:7.1f}  {row.gap:25.2f}  {row.commands:8}"
    gaps = sorted(row.gap for row in rows)
    total = sum(row.commands for row in rows)
    yield f"{total} commands, {len(rows)} cases; median gap {gaps[len(gaps) // 2]:.2f} s"
