"""`python -m shared.dead_letters`: look at what could not be published or handled, and decide.

A letter is replayed, which puts its event back into its stream under the same event id, or dropped
for good.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import time
from typing import Any

from pydantic import BaseModel, ConfigDict
from redis import Redis
from redis.exceptions import RedisError

from shared.generated import events
from shared.keys import marker, previous_dead_letters_of
from shared.settings import SettingsError, exit_with, load_settings
from shared.streams.envelope import FIELD, FIELD_BYTES, MAX_ENTRY_BYTES, EventStream, decode
from shared.streams.envelope import Malformed as MalformedEvent
from shared.streams.letters import DeadLetter
from shared.streams.publisher import MARKER_LIFETIME
from shared.streams.scripts import load_script

STREAMS: dict[str, EventStream[Any]] = {
    value.name: value for value in vars(events).values() if isinstance(value, EventStream)
}
PAGE = 500


class Settings(BaseModel):
    """The tool's one variable."""

    model_config = ConfigDict(frozen=True)

    redis_url: str


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter and where it stands; `age` in seconds."""

    stream: str
    id: str
    age: float
    letter: DeadLetter


class NotReplayable(Exception):  # noqa: N818 — reads as the verdict it is
    """Putting the letter back would only bring it here again; the message says why."""


class DeadLetters:
    """The dead letters of streams on one server.

    Args:
        client: a synchronous redis-py client.
        streams: the streams by their names; without them those of this repository.
    """

    def __init__(self, client: Any, streams: Mapping[str, EventStream[Any]] = STREAMS) -> None:
        self._streams = streams
        self._client = client  # redis-py types a reply as all that it might be
        self._adopt = client.register_script(load_script("adopt"))
        self._replay = client.register_script(load_script("replay"))

    def adopt(self, stream: EventStream[Any]) -> int:
        """Take over what an earlier release has left under another key; return how many letters.

        Each moves in one atomic step, and any number of tools may do this at once.
        """
        previous, moved = previous_dead_letters_of(stream.name), 0
        # Asked first: on a cluster the key of before lies in another slot, and nothing is there.
        while self._client.exists(previous):
            moved += int(self._adopt([previous, stream.dead_letters], [PAGE]))
        return moved

    def list(self, stream: EventStream[Any]) -> Iterator[Found]:
        """Yield a stream's letters, oldest first."""
        start = "-"
        while page := self._client.xrange(stream.dead_letters, min=start, count=PAGE):
            yield from (_found(stream, id_, fields) for id_, fields in page)
            start = f"({page[-1][0].decode()}"

    def get(self, stream: EventStream[Any], id_: str) -> Found | None:
        """Return one letter, or None where there is none of that id."""
        page = self._client.xrange(stream.dead_letters, min=id_, max=id_)
        return _found(stream, *page[0]) if page else None

    def replay(self, found: Found) -> str | None:
        """Put a letter's event back into its stream; None where somebody has done so before.

        Returns:
            The new entry's id.

        Raises:
            NotReplayable: the event would be refused or buried again at once.
        """
        payload = found.letter.payload
        if len(payload) > MAX_ENTRY_BYTES:
            raise NotReplayable(f"it has {len(payload)} bytes, {MAX_ENTRY_BYTES} are allowed")
        try:
            event_id, _ = decode(self._streams[found.stream], {FIELD_BYTES: payload})
        except MalformedEvent as error:
            raise NotReplayable(f"it is no event of this stream: {error}") from None
        keys = [
            found.stream,
            self._streams[found.stream].dead_letters,
            marker(found.stream, event_id),
        ]
        args = [found.id, MARKER_LIFETIME * 1000, FIELD, payload, found.letter.entry_id]
        entry = self._replay(keys, args)
        return entry.decode() if entry else None

    def drop(self, found: Found) -> bool:
        """Delete a letter; False where somebody has done so before. Its id stays refused."""
        return bool(self._client.xdel(self._streams[found.stream].dead_letters, found.id))


def _found(stream: EventStream[Any], id_: bytes, fields: dict[bytes, bytes]) -> Found:
    name = id_.decode()
    age = max(0.0, time() - int(name.split("-")[0]) / 1000)
    return Found(stream.name, name, age, DeadLetter.parse(fields))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; wrong usage exits with EX_USAGE (64)."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON, one object a line")
    common.add_argument(
        "--stream", choices=sorted(STREAMS), help="only this stream's letters (default: all)"
    )
    parser = argparse.ArgumentParser(prog="dead-letters", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", metavar="list | show | replay | drop")
    verbs.add_parser("list", parents=[common], help="one line a letter: id, age, tries, reason")
    for verb, text in (
        ("show", "a letter with its whole content"),
        ("replay", "put events back into their streams; the ids stay the same"),
        ("drop", "delete letters for good; their ids stay refused"),
    ):
        sub = verbs.add_parser(verb, parents=[common], help=text)
        sub.add_argument("ids", nargs="+", metavar="ID", help="letter ids, or the word all")
    try:
        return parser.parse_args(arguments or ["list"])
    except SystemExit as stop:
        raise SystemExit(os.EX_USAGE if stop.code else os.EX_OK) from None


def select(letters: DeadLetters, options: argparse.Namespace) -> tuple[list[Found], list[str]]:
    """Return the letters that are meant, and the ids that nothing has."""
    streams = [STREAMS[name] for name in sorted(STREAMS) if options.stream in {None, name}]
    for stream in streams:
        letters.adopt(stream)
    ids = getattr(options, "ids", ["all"])
    if ids == ["all"]:
        return [found for stream in streams for found in letters.list(stream)], []
    found, missing = [], []
    for id_ in ids:
        matches = [one for stream in streams if (one := letters.get(stream, id_))]
        found += matches
        missing += [] if matches else [id_]
    return found, missing


def run(letters: DeadLetters, options: argparse.Namespace) -> int:
    """Do one verb and print what came of it; return the exit code."""
    found, missing = select(letters, options)
    code = os.EX_OK
    for id_ in missing:
        say(f"there is no dead letter {id_}", sys.stderr)
        code = os.EX_DATAERR
    if not found and not missing and not options.json:
        say("no dead letters")
    for one in found:
        outcome: dict[str, Any] = {}
        if options.verb == "replay":
            try:
                outcome["replayed"] = letters.replay(one)
            except NotReplayable as error:
                outcome["not_replayed"] = str(error)
                code = os.EX_DATAERR
        elif options.verb == "drop":
            outcome["dropped"] = letters.drop(one)
        say(
            json.dumps(_plain(one) | outcome, ensure_ascii=False)
            if options.json
            else _line(one, options.verb, outcome)
        )
    return code


def _plain(found: Found) -> dict[str, Any]:
    """Return a letter as JSON has it."""
    letter = asdict(found.letter) | {"payload": found.letter.payload.decode(errors="replace")}
    return {"stream": found.stream, "id": found.id, "age_seconds": round(found.age, 1), **letter}


def _line(found: Found, verb: str, outcome: dict[str, Any]) -> str:
    """Return what a person is shown of a letter."""
    if "not_replayed" in outcome:
        return f"{found.id}  not replayed: {outcome['not_replayed']}"
    if "replayed" in outcome:
        entry = outcome["replayed"]
        return f"{found.id}  " + (f"replayed as {found.stream} {entry}" if entry else "gone before")
    if "dropped" in outcome:
        return f"{found.id}  " + ("dropped" if outcome["dropped"] else "gone before")
    letter = found.letter
    who = f"group {letter.group}, {letter.deliveries} deliveries" if letter.group else "publish"
    head = f"{found.id}  {_ago(found.age):>8}  {found.stream}  {who}  {letter.reason}"
    if verb == "list":
        return head
    content = letter.payload.decode(errors="replace")
    origin = f"entry {letter.entry_id}\n" if letter.entry_id else ""
    return f"{head}\nevent {letter.event_id}\n{origin}{content}\n"


def _ago(seconds: float) -> str:
    """Return an age in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def say(text: str, stream: Any = None) -> None:
    """Print one line."""
    print(text, file=stream or sys.stdout)


def main() -> None:
    """Run the tool as a process."""
    options = parse(sys.argv[1:])
    try:
        settings = load_settings(Settings)
    except SettingsError as error:
        exit_with(error, "dead-letters")
    try:
        with Redis.from_url(settings.redis_url, socket_timeout=10) as client:
            code = run(DeadLetters(client), options)
    except BrokenPipeError:
        code = os.EX_OK
    except (RedisError, OSError) as error:
        say(f"dead-letters: Redis does not answer: {error}", sys.stderr)
        code = os.EX_UNAVAILABLE
    raise SystemExit(code)


if __name__ == "__main__":
    main()
