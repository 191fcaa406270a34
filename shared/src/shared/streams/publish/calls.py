"""The script calls of a publisher: each one atomic step, that may be made again and again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import from_json

from shared.keys import MARKER_LIFETIME, dead_letters_of, marker, touch_of
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD
from shared.streams.publish.outcomes import Outcome, published, refused
from shared.streams.server.clock import ServerClock
from shared.streams.server.connection import SOCKET_TIMEOUT
from shared.streams.server.line import Argument, Line
from shared.streams.server.primary import has_copies
from shared.streams.server.replicated import ReplicatedLine, script_call
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Terms(NamedTuple):
    """What the events of one call share.

    `not_after` is the time on the server's clock, in milliseconds, after which nothing may be
    appended or refused any more.
    """

    stream: str
    source: str
    not_after: int


class Calls:
    """Appends and refuses events on one server, and learns its time from the answers.

    Every method is one round trip and may raise RedisError, OSError or TimeoutError; then nobody
    knows whether it was carried out. Of a Redis with copies it returns what a replica has as well.
    """

    def __init__(self, client: "Redis", clock: ServerClock) -> None:
        self._client = client
        self._clock = clock
        self._append = client.register_script(load_script("publish"))
        self._refuse = client.register_script(load_script("refuse"))
        self._refuse_anyway = client.register_script(load_script("refuse", allow_oom=True))
        self._line = Line(client, SOCKET_TIMEOUT)
        self.replicated = ReplicatedLine(client, SOCKET_TIMEOUT) if has_copies(client) else None

    async def ask_time(self) -> None:
        """Learn the server's time."""
        asked = self._clock.now()
        seconds, micros = await self._client.time()
        self._clock.answered(asked, seconds + micros / 1e6)

    async def append(self, terms: Terms, events: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        """Append events, given as ids and payloads, each once; return their outcomes."""
        prefix = marker(terms.stream, "")
        keys = [terms.stream, *[prefix + event_id for event_id, _ in events]]
        args: list[Argument] = [MARKER_LIFETIME * 1000, FIELD, terms.source, terms.not_after]
        args += [payload for _, payload in events]
        asked = self._clock.now()
        milliseconds, *answers = from_json(
            await self.replicated.call(
                script_call(self._append, keys, args, touch_of(terms.stream))
            )
            if self.replicated
            else await self._line.call(self._append, keys, args)
        )
        self._clock.answered(asked, milliseconds / 1000)
        return [
            published(event_id, answer)
            for (event_id, _), answer in zip(events, answers, strict=True)
        ]

    async def refuse(
        self, terms: Terms, event_id: str, payload: bytes, reason: str, *, anyway: bool = False
    ) -> Outcome:
        """Put an event into the dead letters and mark its id; `anyway` where memory is full."""
        letter = DeadLetter(event_id=event_id, source=terms.source, payload=payload, reason=reason)
        keys = [dead_letters_of(terms.stream), marker(terms.stream, event_id)]
        args = [MARKER_LIFETIME * 1000, terms.not_after, reason, terms.source, *letter.fields()]
        script = self._refuse_anyway if anyway else self._refuse
        if self.replicated:
            call = script_call(script, keys, args, touch_of(terms.stream))
            return refused(event_id, *await self.replicated.call(call))
        return refused(event_id, *await script(keys, args))

    async def close(self) -> None:
        """Give back the connection that the calls were made on."""
        await self._line.close()
        if self.replicated:
            await self.replicated.close()
