"""The memory of a history: all that was seen to happen, out of which nothing is ever taken."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from shared.generated.events import command_received
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD_BYTES
from tests.chaos.histories.written import GROUPS, Key, Update

STREAM = command_received

Fields = dict[bytes, bytes]


@dataclass(slots=True)
class Record:
    """What the history has seen happen.

    Attributes:
        entries: The entries of each event, in their order; `replayed` are those of a replay.
        letters: Each dead letter's group, event and fields.
        effects: How often an event has had its effect in a group; `tries` how often it was handled.
        blame: How often a delivery of an event to a group may have failed, whoever's fault it was.
        answered: What each publisher was told: an entry's id, or nothing for a refusal.
        garbage: What somebody else has written into the stream.
        holders: Who was seen to hold the lease in which term.
    """

    updates: dict[Key, Update] = field(default_factory=dict)
    entries: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    replayed: set[str] = field(default_factory=set)
    refused: Counter[Key] = field(default_factory=Counter)
    letters: dict[str, tuple[str, Key | None, Fields]] = field(default_factory=dict)
    effects: Counter[tuple[str, Key]] = field(default_factory=Counter)
    tries: Counter[tuple[str, Key]] = field(default_factory=Counter)
    blame: Counter[tuple[str, Key]] = field(default_factory=Counter)
    answered: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    garbage: dict[str, Fields] = field(default_factory=dict)
    holders: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    surprises: list[str] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: "-"))

    def disturb(self) -> None:
        """Take note that a delivery may have failed through no fault of an event."""
        for group in GROUPS:
            for key in self.updates:
                self.blame[group, key] += 1

    def foreign(self, entry: str, fields: Fields) -> None:
        """Take note of somebody else's entry, the newest of the stream."""
        self.garbage[entry] = fields
        self._seen[STREAM.name] = f"({entry}"

    def look(self, client: Any, *, replaying: bool = False) -> None:
        """Take note of every new entry and every new letter."""
        reads = client.pipeline(transaction=False)
        for name in (STREAM.name, STREAM.dead_letters):
            reads.xrange(name, min=self._seen[name])
        entries, letters = reads.execute()
        for id_, fields in self._new(STREAM.name, entries):
            key = key_of(fields)
            if key not in self.updates:
                self.surprises.append(f"entry {id_} is of {key}, which nobody wrote")
                continue
            self.entries[key].append(id_)
            if replaying:
                self.replayed.add(id_)
        for id_, fields in self._new(STREAM.dead_letters, letters):
            letter = DeadLetter.parse(fields)
            # One that was refused for lack of room has no content.
            key, group = key_of(fields) or (letter.source, letter.event_id), letter.group
            self.letters[id_] = (group, key, fields)
            if not group:
                self.refused[key] += 1

    def _new(self, name: str, page: list[tuple[bytes, Fields]]) -> list[tuple[str, Fields]]:
        new = [(id_.decode(), fields) for id_, fields in page]
        if new:
            self._seen[name] = f"({new[-1][0]}"
        return new


def key_of(fields: Fields) -> Key | None:
    """Return which event an entry or a letter holds, if it is one of those that were written."""
    try:
        envelope = from_json(fields[FIELD_BYTES])
        return str(envelope["source"]), str(envelope["id"])
    except (ValueError, KeyError, TypeError):
        return None
