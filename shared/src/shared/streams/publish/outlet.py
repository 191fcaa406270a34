"""Where the events of a process go: encoded, published or refused, their streams kept tidy."""

import uuid
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

from shared.streams.errors import EventRefusedError
from shared.streams.event.envelope import EventStream, MalformedError, encode
from shared.streams.publish.bulk import publish_all, raw_of
from shared.streams.publish.outcomes import Publication
from shared.streams.publish.publisher import Publisher
from shared.streams.tidying import Tidier
from shared.tracing import is_tracing, sending

if TYPE_CHECKING:
    from redis.asyncio import Redis

M = TypeVar("M", bound=BaseModel)


class Outlet:
    """Publishes events through one Redis client; who publishes to a stream keeps it tidy as well.

    What its methods promise and raise stands at those of `StreamBroker`.

    Args:
        client: the server.
        source: the CloudEvents source of what is published.
    """

    def __init__(self, client: "Redis", source: str) -> None:
        self.source = source
        self._tidier = Tidier(client)
        self.publisher = Publisher(client, self._tidier.make_room)

    def keep_tidy(self, stream: EventStream[Any]) -> None:
        """Trim a stream from now on."""
        self._tidier.keep(stream.name, stream.retention)

    def publish(
        self, stream: EventStream[M], event: M, event_id: str | None
    ) -> Awaitable[Publication]:
        """Return what appends an event to its stream, once for one event id."""
        event_id = event_id or str(uuid.uuid4())
        self._tidier.keep(stream.name, stream.retention)
        publish = self._publish_traced if is_tracing() else self._publish
        return publish(stream, event, event_id)

    async def _publish_traced(self, stream: EventStream[M], event: M, event_id: str) -> Publication:
        with sending(stream.name, event_id=event_id):
            return await self._publish(stream, event, event_id)

    def _publish(self, stream: EventStream[M], event: M, event_id: str) -> Awaitable[Publication]:
        try:
            payload = encode(event, event_id=event_id, kind=stream.name, source=self.source)
        except MalformedError as error:
            raw = raw_of(event)
            return self.publisher.refuse(stream.name, self.source, event_id, raw, str(error))
        return self.publisher.publish(stream.name, self.source, event_id, payload)

    async def publish_all(
        self, stream: EventStream[M], events: Iterable[tuple[str | None, M]]
    ) -> list[Publication | EventRefusedError]:
        """Append many events to their stream, in their order and each once."""
        self.keep_tidy(stream)
        return await publish_all(self.publisher, stream, self.source, events)

    async def refuse(
        self, stream: EventStream[Any], content: Any, event_id: str, reason: str
    ) -> Publication:
        """Put what is no event, or not to be one now, into the stream's dead letters."""
        self.keep_tidy(stream)
        raw = self._kept(stream, content, event_id)
        return await self.publisher.refuse(stream.name, self.source, event_id, raw, reason)

    async def close(self) -> None:
        """Stop; callers who still wait get `NotConnectedError`."""
        await self._tidier.close()
        await self.publisher.close()

    def _kept(self, stream: EventStream[Any], content: Any, event_id: str) -> bytes:
        """Return what a dead letter keeps of something; Python's own form where JSON has none."""
        try:
            if isinstance(content, stream.model):
                return encode(content, event_id=event_id, kind=stream.name, source=self.source)
            return to_json(content, fallback=repr, inf_nan_mode="null")
        except ValueError:
            return raw_of(content)
