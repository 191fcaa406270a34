"""`python -m shared.dead_letters`: look at what could not be published or handled, and decide.

A letter is replayed, which puts its event back into its stream under the same source and id, or
dropped for good.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError, ResponseError

from shared.generated import events
from shared.settings import RedisUrl, SettingsError, exit_with, load_settings
from shared.streams.dead_letters.graveyard import BuriedLetter, Graveyard, NotReplayableError
from shared.streams.dead_letters.letters import fields_of
from shared.streams.event.envelope import EventStream
from shared.streams.server.connection import short_lived_client
from shared.streams.server.denial import denies

STREAMS: dict[str, EventStream[Any]] = {
    value.name: value for value in vars(events).values() if isinstance(value, EventStream)
}


class Settings(BaseModel):
    """The tool's one variable."""

    model_config = ConfigDict(frozen=True)

    redis_url: RedisUrl


@dataclass(frozen=True, slots=True)
class Selection:
    """The letters that a command line means, and the ids that nothing has."""

    letters: Sequence[BuriedLetter]
    missing: Sequence[str]


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


def select(graveyard: Graveyard, options: argparse.Namespace) -> Selection:
    """Return the letters that are meant."""
    names = [name for name in sorted(STREAMS) if options.stream in {None, name}]
    for name in names:
        graveyard.adopt(name)
    ids = getattr(options, "ids", ["all"])
    if ids == ["all"]:
        return Selection([letter for name in names for letter in graveyard.letters(name)], [])
    selected: list[BuriedLetter] = []
    missing: list[str] = []
    for id_ in ids:
        matches = [letter for name in names if (letter := _get(graveyard, name, id_))]
        selected += matches
        missing += [] if matches else [id_]
    return Selection(selected, missing)


def _get(graveyard: Graveyard, stream: str, id_: str) -> BuriedLetter | None:
    try:
        return graveyard.get(stream, id_)
    except ResponseError:
        return None  # it could be no id


def run(graveyard: Graveyard, options: argparse.Namespace) -> int:
    """Do one verb and print what came of it; return the exit code."""
    selection = select(graveyard, options)
    code = os.EX_OK
    for id_ in selection.missing:
        say(f"there is no dead letter {id_}", sys.stderr)
        code = os.EX_DATAERR
    if not selection.letters and not selection.missing and not options.json:
        say("no dead letters")
    for buried in selection.letters:
        outcome = act(graveyard, options.verb, buried)
        if "not_replayed" in outcome:
            code = os.EX_DATAERR
        if options.json:
            say(as_json(plain(buried) | outcome))
        else:
            for line in _lines(buried, options.verb, outcome):
                say(line)
    return code


def act(graveyard: Graveyard, verb: str, buried: BuriedLetter) -> dict[str, Any]:
    """Do with one letter what the verb says, and return what came of it, as JSON has it."""
    if verb == "drop":
        return {"dropped": graveyard.drop(buried)}
    if verb != "replay":
        return {}
    try:
        return {"replayed": graveyard.replay(buried)}
    except NotReplayableError as error:
        return {"not_replayed": str(error)}


def plain(buried: BuriedLetter) -> dict[str, Any]:
    """Return a letter as JSON has it."""
    letter = asdict(buried.letter)
    letter["payload"] = buried.letter.payload.decode(errors="replace")
    letter["others"] = _readable(fields_of(buried.letter.others))
    return {"stream": buried.stream, "id": buried.id, "age_seconds": round(buried.age, 1), **letter}


def _lines(buried: BuriedLetter, verb: str, outcome: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person is shown of a letter."""
    if "not_replayed" in outcome:
        yield f"{buried.id}  not replayed: {outcome['not_replayed']}"
    elif "replayed" in outcome:
        entry = outcome["replayed"]
        what = f"replayed as {buried.stream} {entry}" if entry else "gone before"
        yield f"{buried.id}  {what}"
    elif "dropped" in outcome:
        yield f"{buried.id}  {'dropped' if outcome['dropped'] else 'gone before'}"
    else:
        yield from _story(buried, whole=verb == "show")


def _story(buried: BuriedLetter, *, whole: bool) -> Iterator[str]:
    letter = buried.letter
    who = f"group {letter.group}, {letter.deliveries} deliveries" if letter.group else "publish"
    yield f"{buried.id}  {_ago(buried.age):>8}  {buried.stream}  {who}  {letter.reason}"
    if not whole:
        return
    yield f"event {letter.event_id}" + (f" of {letter.source}" if letter.source else "")
    if letter.entry_id:
        yield f"entry {letter.entry_id}"
    for name, value in _readable(fields_of(letter.others)).items():
        yield f"field {name} {value}"
    yield letter.payload.decode(errors="backslashreplace")
    yield ""


def _readable(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
        for name, value in fields.items()
    }


def _ago(seconds: float) -> str:
    """Return an age in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def say(text: str, stream: Any = None) -> None:
    """Print one line; what could steer a terminal is shown and not sent to it."""
    print(printable(text), file=stream or sys.stdout)


def as_json(content: Mapping[str, Any]) -> str:
    """Return a JSON object in one line, with JSON's escapes for what has no shape of its own."""
    text = json.dumps(content, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def printable(text: str) -> str:
    r"""Return a text with everything escaped that has no shape of its own, such as `\x1b`.

    Control characters and those that turn the direction of text are the sender's, not the
    terminal's: they could hide a line, or type into it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def main() -> None:
    """Run the tool as a process."""
    options = parse(sys.argv[1:])
    try:
        settings = load_settings(Settings)
    except SettingsError as error:
        exit_with(error, "dead-letters")
    try:
        with short_lived_client(settings.redis_url) as client:
            code = run(Graveyard(client, STREAMS), options)
    except BrokenPipeError:
        code = os.EX_OK
    except (RedisError, OSError) as error:
        refused = isinstance(error, RedisError) and denies(error)
        what = "refuses this user" if refused else "does not answer"
        say(f"dead-letters: Redis {what}: {error}", sys.stderr)
        code = os.EX_CONFIG if refused else os.EX_UNAVAILABLE
    raise SystemExit(code)


if __name__ == "__main__":
    main()
