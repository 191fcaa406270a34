"""Looks for what happens: in the chats, in every declared stream, in the database."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import redis.exceptions

from demo.happenings import Entry, Handled, Notice, Row, Said, Tell
from demo.stack import Stack, check_cancelled
from shared.keys import dead_letters_of
from telegram_sim.client import SimAwayError

EVERY = 0.1
"""Seconds between two looks at streams and database."""
BOOKKEEPING = ("alembic_version", "inbox")
"""What the names of tables begin or end with that hold no data of a service's own."""
MOST_ROWS = 20
"""Rows of a table that are shown of one look."""


class Watch:
    """Watches one stack and tells what it sees, each thing once.

    Attributes:
        events: The events that it has seen, each as stream, source and id.
        doubled: Those of them that it has seen more than once.
        unhandled: Entries that a reader has still to acknowledge, with the groups that have.
    """

    def __init__(self, stack: Stack, tell: Tell) -> None:
        self._stack, self._tell = stack, tell
        self.events: set[tuple[str, str, str]] = set()
        self.doubled: list[tuple[str, str, str]] = []
        self.unhandled: dict[Entry, set[str]] = {}
        self.heard: set[tuple[int, int]] = set()
        streams = stack.wiring.streams if stack.redis is not None else ()
        self._places = dict.fromkeys((*streams, *map(dead_letters_of, streams)), "0")
        self._rows: dict[str, int] = {}
        self._looking = asyncio.Lock()
        self._listening = asyncio.Event()

    async def run(self) -> None:
        """Watch until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look_often())

    async def ready(self) -> None:
        """Return when nothing that is said from now on goes unheard."""
        await self._listening.wait()

    async def look(self) -> None:
        """Tell what streams and database have got since the last look."""
        async with self._looking:
            for entry in await self._new_entries():
                self._tell(entry)
            await self._see_who_handled()
            rows, self._rows = await asyncio.to_thread(
                _new_rows, str(self._stack.wiring.database), self._rows
            )
            for row in rows:
                self._tell(row)

    async def _look_often(self) -> None:
        while True:
            # The end of Redis is told by the stack.
            with suppress(redis.exceptions.RedisError, OSError):
                await self.look()
            check_cancelled()
            await asyncio.sleep(EVERY)

    async def _listen(self) -> None:
        """Tell of messages, as the simulator's feed has them."""
        while True:
            try:
                async with self._stack.telegram.events() as events:
                    self._listening.set()
                    async for event in events:
                        self._hear(event)
            except SimAwayError:  # its end is told by the stack
                pass
            await asyncio.sleep(EVERY)

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "not_simulated":
            self._tell(Notice(f"the simulator does not know what {event['method']} does"))
        elif kind == "answered" and event["press"].get("text"):
            self._tell(Said("bot", event["press"]["text"], (0, 0), bot=True))
        elif kind in {"message", "edited"}:
            message = event["message"]
            number = message["chat"]["id"], message["message_id"]
            author = message.get("from", {}).get("first_name", "?")
            bot = event["extra"]["from_bot"]
            keyboard = message.get("reply_markup", {}).get("inline_keyboard", ())
            buttons = tuple(button["text"] for row in keyboard for button in row)
            said = Said(
                "bot" if bot else author, _text(message), number, bot, buttons, kind == "edited"
            )
            self._tell(said)
            self.heard.add(number)

    async def _new_entries(self) -> list[Entry]:
        if not self._places:
            return []
        reply = await self._stack.redis.xread(self._places)
        read = reply.items() if isinstance(reply, dict) else reply
        entries = []
        for stream, listed in read:
            # A reply in the form of RESP3 has one more list around the entries.
            flat = listed[0] if listed and isinstance(listed[0], list) else listed
            entries += [Entry(stream, entry_id, fields) for entry_id, fields in flat]
            self._places[stream] = flat[-1][0]
        events = [entry for entry in entries if entry.stream in self._stack.wiring.streams]
        for entry in events:
            event = event_of(entry)
            known = entry.stream, str(event.get("source")), str(event.get("id", entry.id))
            self.doubled += [known] if known in self.events else []
            self.events.add(known)
            self.unhandled[entry] = set()
        return sorted(entries, key=lambda entry: tuple(map(int, entry.id.split("-"))))

    async def _see_who_handled(self) -> None:
        """Tell which groups have acknowledged what was read of the streams."""
        for entry, handled in list(self.unhandled.items()):
            groups = await self._stack.redis.xinfo_groups(entry.stream)
            for group in groups:
                name = group["name"]
                if name in handled or not _reaches(group["last-delivered-id"], entry.id):
                    continue
                pending = self._stack.redis.xpending_range
                if not await pending(entry.stream, name, entry.id, entry.id, 1):
                    handled.add(name)
                    self._tell(Handled(entry, name))
            if len(handled) >= len(self._stack.wiring.readers(entry.stream)):
                del self.unhandled[entry]


def _reaches(delivered: str, entry_id: str) -> bool:
    first, second = (tuple(map(int, text.split("-"))) for text in (delivered, entry_id))
    return first >= second


def _text(message: dict[str, Any]) -> str:
    if "text" in message:
        return str(message["text"])
    kinds = [name for name in message if name in {"photo", "document", "sticker", "voice", "video"}]
    return " ".join(filter(None, (f"[{kinds[0] if kinds else 'message'}]", message.get("caption"))))


def _new_rows(database: str, seen: dict[str, int]) -> tuple[list[Row], dict[str, int]]:
    """Return the rows of every table since their last numbers, and their last numbers now."""
    rows: list[Row] = []
    last = dict(seen)
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0)) as source:
            source.row_factory = sqlite3.Row
            for table in _tables(source):
                select = f'SELECT rowid AS "rowid ", * FROM "{table}"'  # noqa: S608 — a table of ours
                query = f"{select} WHERE rowid > ? LIMIT {MOST_ROWS}"
                for row in source.execute(query, (last.get(table, 0),)):
                    values = dict(row)
                    last[table] = values.pop("rowid ")
                    rows.append(Row(table, values))
    except sqlite3.Error:  # there is none yet, or it is being written; the next look is soon
        return [], seen
    return rows, last


def _tables(source: sqlite3.Connection) -> Iterator[str]:
    for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if not (name.startswith(("sqlite_", *BOOKKEEPING)) or name.endswith(BOOKKEEPING)):
            yield name


def twice(database: str) -> Iterator[str]:
    """Yield the tables that hold an event more than once."""
    with closing(sqlite3.connect(database)) as source:
        for table in _tables(source):
            columns = {row[1] for row in source.execute(f'PRAGMA table_info("{table}")')}
            if {"event_id", "source"} <= columns:
                query = f'SELECT COUNT(*), COUNT(DISTINCT source || event_id) FROM "{table}"'  # noqa: S608
                count, distinct = source.execute(query).fetchone()
                if count != distinct:
                    yield table


def event_of(entry: Entry) -> dict[str, Any]:
    """Return the event of an entry as JSON; empty where it is none."""
    try:
        event = json.loads(entry.fields["__data__"])
    except (KeyError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}
