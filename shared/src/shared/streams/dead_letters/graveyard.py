"""The dead letters of streams: read, put back, dropped. For an operator, who may do everything."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Any

from shared.keys import MARKER_LIFETIME, buried_of, marker, previous_dead_letters_of, replayed_of
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import (
    FIELD,
    FIELD_BYTES,
    MAX_ENTRY_BYTES,
    EventStream,
    MalformedError,
    Received,
    receive,
)
from shared.streams.server.scripts import load_script

PAGE = 500


@dataclass(frozen=True, slots=True)
class BuriedLetter:
    """A dead letter and where it stands; `age` in seconds."""

    stream: str
    id: str
    age: float
    letter: DeadLetter


class NotReplayableError(Exception):
    """Putting the letter back would bring it here again, or double it; the message says why."""


class Graveyard:
    """The dead letters of streams on one server.

    Args:
        client: a synchronous redis-py client.
        streams: the streams by their names.
    """

    def __init__(self, client: Any, streams: Mapping[str, EventStream[Any]]) -> None:
        self._client = client  # redis-py types a reply as all that it might be
        self._streams = streams
        self._graves: dict[str, defaultdict[tuple[str, int], list[str]]] = {}
        self._adopt = client.register_script(load_script("adopt"))
        self._replay = client.register_script(load_script("replay"))

    def adopt(self, stream: str) -> int:
        """Take over what an earlier release has left under another key; return how many letters.

        Each moves in one atomic step, and any number of tools may do this at once.
        """
        keys = [previous_dead_letters_of(stream), self._key(stream), buried_of(stream)]
        moved = 0
        # Asked first: on a cluster the key of before lies in another slot, and nothing is there.
        while self._client.exists(keys[0]):
            moved += int(self._adopt(keys, [PAGE]))
        return moved

    def letters(self, stream: str) -> Iterator[BuriedLetter]:
        """Yield a stream's letters, oldest first."""
        start = "-"
        while page := self._client.xrange(self._key(stream), min=start, count=PAGE):
            yield from (_buried(stream, id_, fields) for id_, fields in page)
            start = f"({page[-1][0].decode()}"

    def get(self, stream: str, id_: str) -> BuriedLetter | None:
        """Return one letter, or None where there is none of that id.

        Raises:
            redis.exceptions.ResponseError: it could be no id.
        """
        page = self._client.xrange(self._key(stream), min=id_, max=id_)
        return _buried(stream, *page[0]) if page else None

    def replay(self, buried: BuriedLetter) -> str | None:
        """Put a letter's event back into its stream, once for all groups that have buried it.

        Returns:
            The new entry's id; None where the letter is gone: replayed or dropped before, or
            replayed together with another group's.

        Raises:
            NotReplayableError: the event would be refused or buried again at once, or the stream
                holds it as another entry.
        """
        received = self._event(buried)
        stream, letter = buried.stream, buried.letter
        # What was refused is remembered as what it was to be, whatever its content says of itself.
        source, event_id = letter.source or received.source, letter.event_id or received.event_id
        keys = [
            *(stream, self._key(stream), marker(stream, event_id)),
            *(replayed_of(stream), buried_of(stream)),
        ]
        args = [
            *(MARKER_LIFETIME * 1000, FIELD, letter.payload, source, letter.entry_id),
            *(buried.id, *self._siblings(buried)),
        ]
        outcome, entry = (part.decode() for part in self._replay(keys, args))
        if outcome == "elsewhere":
            reason = f"the event was replayed before, and is entry {entry} of the stream"
            raise NotReplayableError(reason)
        return entry or None

    def drop(self, buried: BuriedLetter) -> bool:
        """Delete a letter; False where somebody has done so before. Its id stays refused."""
        return bool(self._client.xdel(self._key(buried.stream), buried.id))

    def _key(self, stream: str) -> str:
        return self._streams[stream].dead_letters

    def _event(self, buried: BuriedLetter) -> Received[Any]:
        payload = buried.letter.payload
        if len(payload) > MAX_ENTRY_BYTES:
            raise NotReplayableError(f"it has {len(payload)} bytes, {MAX_ENTRY_BYTES} are allowed")
        try:
            return receive(self._streams[buried.stream], {FIELD_BYTES: payload})
        except MalformedError as error:
            raise NotReplayableError(f"it is no event of this stream: {error}") from None

    def _siblings(self, buried: BuriedLetter) -> list[str]:
        """Return the letters in which other groups have buried the same entry.

        They are looked up once a stream. One that comes later is written only if the marker still
        names its entry, and is not put back once that names another.
        """
        if buried.stream not in self._graves:
            graves = self._graves[buried.stream] = defaultdict(list)
            for other in self.letters(buried.stream):
                if other.letter.entry_id:
                    graves[_grave(other)].append(other.id)
        siblings = self._graves[buried.stream].get(_grave(buried), [])
        return [id_ for id_ in siblings[:PAGE] if id_ != buried.id]


def _grave(buried: BuriedLetter) -> tuple[str, int]:
    """Return what the letters of one entry have in common."""
    return buried.letter.entry_id, hash(buried.letter.payload)


def _buried(stream: str, id_: bytes, fields: Mapping[bytes, bytes]) -> BuriedLetter:
    name, letter = id_.decode(), DeadLetter.parse(dict(fields))
    # One that was taken over may have a younger id than it is old.
    since = min(int(name.split("-")[0]) / 1000, _moment(letter.time) or math.inf)
    return BuriedLetter(stream, name, max(0.0, time() - since), letter)


def _moment(text: str) -> float | None:
    """Return a time with its offset in seconds; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
