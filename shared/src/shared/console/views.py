"""What the console shows and does, as JSON."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis

from shared.console.journey import Handled, Moments, journey
from shared.dead_letters import STREAMS, act, plain
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.server.connection import short_lived_client
from shared.tail.entries import Content, Wanted
from shared.tail.follow import Begin, behind, connection, from_redis
from shared.tail.groups import standing

log = structlog.get_logger(__name__)

MOST_LETTERS = 200
"""Letters of a stream that are shown at a time, the oldest first."""
RECENT = 50
"""Entries of each stream that are shown of before."""
MOST_ENTRIES = 200
"""Entries of a stream that the page keeps; of more in a second it is sent as many of the newest."""
MOST_AUDITED = 100


class Views:
    """What the console shows of the streams, and does with their dead letters.

    Args:
        redis_url: where the streams are; its user has to have the rights of `console:`.
        handled: who has stored an event; None where that is not known here.
        moments: when a bot had the update of an event; None where nobody can be asked.
    """

    def __init__(
        self, redis_url: str, handled: Handled | None = None, moments: Moments | None = None
    ) -> None:
        self._url = redis_url
        self._handled, self._moments = handled, moments
        self.streams = sorted(STREAMS)
        self.audit: deque[Content] = deque(maxlen=MOST_AUDITED)

    async def standing(self) -> Content:
        """Return how streams and groups stand."""
        async with self._client() as client:
            streams = await standing(client, self.streams)
        return {"streams": [stream.as_json() for stream in streams]}

    async def follow(self) -> AsyncGenerator[Content]:
        """Yield the newest entries, then what happens, as `shared.tail.follow` has it."""
        async with self._client() as client:
            begin = Begin(places={it: await behind(client, it, RECENT) for it in self.streams})
            follow = from_redis(client, self.streams, Wanted(), begin, newest=MOST_ENTRIES)
            async with aclosing(follow) as happening:
                async for message in happening:
                    yield message

    async def journey(self, stream: str, id_: str) -> Content:
        """Return the way of an entry, as `shared.console.journey` has it."""
        async with self._client() as client:
            return await journey(client, stream, id_, self._handled, self._moments)

    async def letters(self) -> Content:
        """Return dead letters: of each stream the oldest, and how many there are."""
        return await asyncio.to_thread(self._letters)

    async def decide(self, verb: str, stream: str, ids: Sequence[str], who: str) -> Content:
        """Replay or drop letters; return what became of each, and note who did it.

        Args:
            verb: `replay` or `drop`.
            stream: the stream whose letters they are.
            ids: the letters.
            who: for the audit.
        """
        outcomes = await asyncio.to_thread(self._decide, verb, stream, ids)
        for outcome in outcomes:
            line = {"time": datetime.now(UTC).isoformat(), "who": who, "verb": verb, **outcome}
            self.audit.appendleft(line)
            log.warning("console", **{k: v for k, v in line.items() if k != "time"})
        return {"outcomes": outcomes}

    def _letters(self) -> Content:
        with self._graveyard() as graveyard:
            letters = []
            for name in self.streams:
                for number, letter in enumerate(graveyard.letters(name)):
                    if number == MOST_LETTERS:
                        break
                    letters.append(plain(letter))
        return {"letters": letters, "most": MOST_LETTERS}

    def _decide(self, verb: str, stream: str, ids: Sequence[str]) -> list[Content]:
        with self._graveyard() as graveyard:
            outcomes = []
            for id_ in ids:
                buried = graveyard.get(stream, id_)
                known = {"event_id": buried.letter.event_id} if buried else {}
                outcome = act(graveyard, verb, buried) if buried else {"gone": True}
                outcomes.append({"stream": stream, "id": id_, **known, **outcome})
        return outcomes

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[Redis]:
        client = connection(self._url)
        try:
            yield client
        finally:
            await client.aclose()

    def _graveyard(self) -> "_Graveyard":
        return _Graveyard(self._url)


class _Graveyard:
    """The dead letters, with a connection as long as the context."""

    def __init__(self, url: str) -> None:
        self._client = short_lived_client(url)

    def __enter__(self) -> Graveyard:
        return Graveyard(self._client, STREAMS)

    def __exit__(self, *_: object) -> None:
        self._client.close()
