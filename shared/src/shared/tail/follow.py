"""What happens in the streams, as messages: read from Redis here, or by a process elsewhere.

A message is a JSON object of one key: `entry` or `letter`, as `shared.tail.entries` describes them,
`status`, a list as `shared.tail.groups` has it, `notice`, a text, or `places`, where it began.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.keys import dead_letters_of
from shared.process import Backoff, check_cancelled
from shared.streams.server.connection import options_of
from shared.streams.server.denial import denies
from shared.tail.entries import Content, Wanted, described
from shared.tail.groups import standing

EVERY = 1.0
"""Seconds between two looks at the groups."""
PAGE = 200
LINE = 4 * 1024 * 1024
"""Bytes that a line of another process may have: an entry with each character escaped."""
START = "0-0"
AFTER = "{after}"


class EndedError(Exception):
    """There is nothing to follow; `str` says why in one line, `code` is the exit code."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


def connection(url: str) -> Redis:
    """Return a client that tells of an error at once, since a person waits."""
    patience = {"socket_timeout": 10.0, "socket_connect_timeout": 5.0}
    options = {**patience, **options_of(url)}
    return Redis.from_pool(ConnectionPool(**options, retry=Retry(NoBackoff(), 0)))


@dataclass(frozen=True, slots=True)
class Begin:
    """Where following begins.

    Attributes:
        after: The id after which entries are read; None for what comes from now on.
        places: The same for each key that was followed before.
    """

    after: str | None = None
    places: Mapping[str, str] = field(default_factory=dict)


async def from_redis(
    client: Redis, streams: Sequence[str], wanted: Wanted, begin: Begin, newest: int = 0
) -> AsyncGenerator[Content]:
    """Yield what happens, across outages of Redis.

    Args:
        client: a connection of its own, with the right to read.
        streams: the streams; their dead letters belong to them.
        wanted: which entries are meant.
        begin: where it begins.
        newest: how many entries of a key are worth reading in `EVERY` seconds: what more there was
            is left out but for as many of the newest; 0 where all of them are meant.

    Raises:
        EndedError: Redis refuses the user.
    """
    letters = {dead_letters_of(stream): stream for stream in streams}
    places: dict[str, str] = {}
    backoff, away, looked = Backoff(first=0.2), False, -EVERY
    count, crowded = 0, False
    while True:
        messages: list[Content] = []
        try:
            if not places:
                places = {k: await _start(client, k, begin) for k in (*streams, *letters)}
                messages.append({"places": dict(places)})
            if monotonic() - looked >= EVERY:
                views = await standing(client, streams)
                messages.append({"status": [view.as_json() for view in views]})
                looked, count = monotonic(), 0
            happened = await _read_on(client, places, letters, newest or PAGE, crowded=crowded)
            messages += happened
            count += len(happened)
        except (RedisError, OSError) as error:
            if isinstance(error, RedisError) and denies(error):
                raise EndedError(f"Redis refuses this user: {error}", os.EX_CONFIG) from None
            check_cancelled()
            if not away:
                away = True
                yield {"notice": f"Redis does not answer; trying again ({type(error).__name__})"}
            await asyncio.sleep(backoff.next())
            continue
        if away:
            away = False
            backoff.reset()
            yield {"notice": "Redis answers again"}
        for message in messages:
            _note(places, message)
            entry = message.get("entry") or message.get("letter")
            if entry is None or wanted.takes(entry):
                yield message
        check_cancelled()
        crowded = 0 < newest <= count


async def behind(client: Redis, key: str, count: int) -> str:
    """Return the id before a stream's newest entries."""
    entries: Any = await client.xrevrange(key, count=count + 1)
    return entries[-1][0].decode() if len(entries) > count else START


async def from_process(command: Sequence[str], given: str) -> AsyncGenerator[Content]:
    """Yield what a process that runs `python -m shared.tail --json --status` yields.

    Where it ends after it has begun, because its container was replaced, it is started again and
    goes on behind what was seen.

    Args:
        command: how to run it; `{after}` in a word stands for where it begins, as JSON.
        given: the first line of its input, which stays open: the end of its input ends it.

    Raises:
        EndedError: it does not begin.
    """
    places: dict[str, str] = {}
    backoff, begun, away = Backoff(first=0.5, most=5.0), False, False
    while True:
        after = json.dumps(places)
        process = await asyncio.create_subprocess_exec(
            *(word.replace(AFTER, after) for word in command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE,
            start_new_session=True,  # a Ctrl-C is ours; it ends when its input does
        )
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 — pipes
        words = asyncio.create_task(process.stderr.read())
        try:
            process.stdin.write(f"{given}\n".encode())
            said = ""
            while line := await _line(process.stdout):
                try:
                    message = json.loads(line)
                except ValueError:  # its errors, where both outputs come as one
                    said = line.decode(errors="replace").strip()
                    continue
                if away:
                    yield {"notice": "following again"}
                begun, away = True, False
                backoff.reset()
                _note(places, message)
                yield message
            code = await process.wait()
            said = ((await words).decode(errors="replace").strip() or said).rpartition("\n")[2]
        finally:
            await _end(process, words)
        why = said or f"it ended with {code}"
        if not begun:
            raise EndedError(why, code)
        if not away:
            away = True
            yield {"notice": f"what follows the streams has ended; trying again ({why})"}
        await asyncio.sleep(backoff.next())


async def _line(output: asyncio.StreamReader) -> bytes:
    """Return the next line; one that is too long to be shown as what is left of it, or a blank."""
    try:
        return await output.readline()
    except ValueError:
        return b"\n"


async def _end(process: asyncio.subprocess.Process, words: "asyncio.Task[bytes]") -> None:
    """Close a process' input and wait for its end; where that takes too long, kill it."""
    words.cancel()
    if process.returncode is not None:
        return
    if process.stdin:
        process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            await process.wait()
            return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _start(client: Redis, key: str, begin: Begin) -> str:
    """Return the place behind which a stream is read: a given one, or its end."""
    if (place := begin.places.get(key, begin.after)) is not None:
        return place
    last: Any = await client.xrevrange(key, count=1)
    return last[0][0].decode() if last else START


async def _read_on(
    client: Redis, places: dict[str, str], letters: Mapping[str, str], count: int, *, crowded: bool
) -> list[Content]:
    """Return up to `count` entries of each key behind its place; if crowded the newest, later."""
    if crowded:
        await asyncio.sleep(EVERY)
        newest: dict[bytes, Any] = {}
        for key, place in places.items():
            entries: Any = await client.xrevrange(key, min=f"({place}", count=count)
            newest[key.encode()] = entries[::-1]
        return _read(newest, letters)
    after: Any = places  # redis-py's keys may be bytes as well
    return _read(await client.xread(after, count, int(EVERY * 1000)), letters)


def _read(reply: Any, letters: Mapping[str, str]) -> list[Content]:
    """Return what XREAD has answered as messages, in the order in which it was added."""
    read = reply.items() if isinstance(reply, dict) else reply or ()
    messages: list[Content] = []
    for raw, listed in read:
        key = raw.decode()
        # A reply in the form of RESP3 has one more list around the entries.
        flat = listed[0] if listed and isinstance(listed[0], list) else listed
        dead = key in letters
        kind, stream = ("letter", letters[key]) if dead else ("entry", key)
        messages += [{kind: described(stream, id_, fields, dead=dead)} for id_, fields in flat]
    return sorted(messages, key=_order)


def _order(message: Content) -> tuple[int, ...]:
    (content,) = message.values()
    return _moment(content["id"])


def _moment(id_: str) -> tuple[int, ...]:
    return tuple(map(int, id_.split("-")))


def _note(places: dict[str, str], message: Content) -> None:
    """Remember how far a stream or its dead letters were shown."""
    for key, place in message.get("places", {}).items():
        places.setdefault(key, place)
    for kind in ("entry", "letter"):
        if content := message.get(kind):
            stream = content["stream"]
            places[stream if kind == "entry" else dead_letters_of(stream)] = content["id"]
