"""What outlives the process: one SQLite file, written behind the answers that depend on it.

Every change is recorded at once and written together with all others that came meanwhile, in one
transaction that is synced to the disk. `settled` waits for that: an answer is given only when
everything it says is on the disk, so a SIGKILL at any moment forgets nothing that anybody knows of.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from telegram_sim.api.serial import decode, encode

# A statement and its values; what names a row; what reads a row when it is to be written.
Change = tuple[str, tuple[Any, ...]]
Name = tuple[str | int, ...]
RowReader = Callable[[], Change]

LAYOUT = 1
TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bots (id INTEGER PRIMARY KEY, body BLOB);
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, body BLOB);
CREATE TABLE IF NOT EXISTS chats (bot INTEGER, id INTEGER, body BLOB, PRIMARY KEY (bot, id));
CREATE TABLE IF NOT EXISTS messages (
    bot INTEGER, chat INTEGER, id INTEGER, body BLOB, extra BLOB, PRIMARY KEY (bot, chat, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS updates (
    bot INTEGER, id INTEGER, kind TEXT, body BLOB, expires INTEGER, queue TEXT,
    PRIMARY KEY (bot, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, bot INTEGER, path TEXT, content BLOB, width INTEGER, height INTEGER
);
CREATE TABLE IF NOT EXISTS presses (id TEXT PRIMARY KEY, body BLOB);
"""


class StateError(Exception):
    """The state file cannot be read or written; its text is the whole message."""


class Row(Protocol):
    """An update as it is kept, whatever class it has."""

    id: int
    kind: str
    body: bytes
    expires: int
    queue: str


class State:
    """Keeps nothing: the state of a simulator without a state file, and the base of one with it.

    Attributes:
        keeps: Whether what is recorded is kept at all.
    """

    keeps = False

    def execute(self, statement: str, *values: Any) -> None:
        """Record one change."""

    def rewrite(self, name: Name, row: RowReader) -> None:
        """Record that a row has changed; it is read once, when the next transaction begins."""

    async def settled(self) -> None:
        """Return when everything recorded so far is on the disk."""

    async def close(self) -> None:
        """Write what is recorded, and let go of the file."""

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        del query
        return iter(())

    def put_setting(self, name: str, value: object) -> None:
        """Keep one setting that came through the control API."""
        self.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, encode(value))

    def settings(self) -> dict[str, Any]:
        """Return the settings that were kept."""
        return {name: decode(body) for name, body in self.rows("SELECT name, body FROM settings")}

    def put_update(self, bot: int, update: Row) -> None:
        """Keep one update."""
        self.execute(
            "INSERT INTO updates VALUES (?, ?, ?, ?, ?, ?)",
            *(bot, update.id, update.kind, update.body, update.expires, update.queue),
        )

    def drop_update(self, bot: int, update: int) -> None:
        """Forget one update."""
        self.execute("DELETE FROM updates WHERE bot = ? AND id = ?", bot, update)

    def drop_updates_below(self, bot: int, offset: int) -> None:
        """Forget a bot's updates below an offset."""
        self.execute("DELETE FROM updates WHERE bot = ? AND id < ?", bot, offset)

    def put_user(self, user: int, body: bytes) -> None:
        """Keep one user."""
        self.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", user, body)

    def put_message(self, bot: int, chat: int, message: int, body: bytes, extra: bytes) -> None:
        """Keep one message as it now is."""
        self.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)",
            *(bot, chat, message, body, extra),
        )

    def drop_message(self, bot: int, chat: int, message: int) -> None:
        """Forget one message."""
        self.execute(
            "DELETE FROM messages WHERE bot = ? AND chat = ? AND id = ?", bot, chat, message
        )


class StateFile(State):
    """Keeps everything in one SQLite file.

    Args:
        path: The file; made where it is missing.
        on_failure: Called once, from the event loop, when the file can no longer be written.

    Raises:
        StateError: The file cannot be opened, or is none of ours.
    """

    keeps = True

    def __init__(self, path: Path, on_failure: Callable[[StateError], None]) -> None:
        self._path = path
        self._on_failure = on_failure
        self._connection = _open(path)
        self._changes: list[Change] = []
        self._dirty: dict[Name, RowReader] = {}
        self._next: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        return iter(self._connection.execute(query))

    def execute(self, statement: str, *values: Any) -> None:
        """Record one change."""
        self._changes.append((statement, values))
        self._schedule()

    def rewrite(self, name: Name, row: RowReader) -> None:
        """Record that a row has changed; it is read once, when the next transaction begins."""
        self._dirty[name] = row
        self._schedule()

    async def settled(self) -> None:
        """Return when everything recorded so far is on the disk.

        Raises:
            StateError: It could not be written.
        """
        waited_for = self._next or self._writing
        if waited_for is not None:
            await asyncio.shield(waited_for)

    async def close(self) -> None:
        """Write what is recorded, and let go of the file."""
        with contextlib.suppress(StateError):
            await self.settled()
        if self._task is not None:
            await self._task
        self._thread.shutdown()
        self._connection.close()

    def _schedule(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._next is not None:
            changes = [*self._changes, *(row() for row in self._dirty.values())]
            self._changes, self._dirty = [], {}
            self._writing, self._next = self._next, None
            try:
                await loop.run_in_executor(self._thread, self._commit, changes)
            except sqlite3.Error as problem:
                self._fail(StateError(f"cannot write the state file {self._path}: {problem}"))
                return
            self._writing.set_result(None)
            self._writing = None

    def _fail(self, failure: StateError) -> None:
        for waited_for in (self._writing, self._next):
            if waited_for is not None:
                waited_for.set_exception(failure)
                waited_for.exception()  # nobody may be waiting; on_failure tells of it anyway
        self._on_failure(failure)

    def _commit(self, changes: list[Change]) -> None:
        with self._connection:
            self._connection.execute("BEGIN")
            for statement, values in changes:
                self._connection.execute(statement, values)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if layout not in {0, LAYOUT}:
            raise StateError(f"{path} was written by another version of the simulator: remove it")
        connection.executescript(f"{TABLES} PRAGMA user_version = {LAYOUT};")
    except (sqlite3.Error, OSError) as problem:
        raise StateError(f"cannot open the state file {path}: {problem}") from problem
    return connection
