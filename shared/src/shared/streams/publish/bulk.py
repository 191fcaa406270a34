"""Publishing many events at once, at a fraction of the cost of publishing them one by one."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel

from shared.streams.errors import EventRefusedError
from shared.streams.event.envelope import MAX_ENTRY_BYTES, EventStream, MalformedError, encode
from shared.streams.publish.outcomes import Publication, too_large
from shared.streams.publish.publisher import MAX_BATCH, Publisher
from shared.tracing import sending

M = TypeVar("M", bound=BaseModel)

Outcome = Publication | EventRefusedError

AHEAD = 2
"""Groups under way: one at the server, and one encoded that follows it at once."""


async def publish_all(
    publisher: Publisher,
    stream: EventStream[M],
    source: str,
    events: Iterable[tuple[str | None, M]],
) -> list[Outcome]:
    """Publish events in their order; the server works on a group while the next is encoded."""
    outcomes: list[Outcome] = []
    sending: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        for group in _groups(events):
            if len(sending) == AHEAD:
                outcomes += await sending.popleft()
            working = _publish_traced(publisher, stream, source, group)
            sending.append(asyncio.create_task(working, name="publish group"))
            await asyncio.sleep(0)  # lets the group before this one leave
        while sending:
            outcomes += await sending.popleft()
    finally:
        for task in sending:
            task.cancel()
    return outcomes


def _groups(events: Iterable[tuple[str | None, M]]) -> Iterator[Sequence[tuple[str, M]]]:
    """Cut the events into what one script call takes, and give ids to those without."""
    remaining = iter(events)
    while group := list(islice(remaining, MAX_BATCH)):
        yield [(event_id or str(uuid.uuid4()), event) for event_id, event in group]


async def _publish_traced(
    publisher: Publisher, stream: EventStream[M], source: str, group: Sequence[tuple[str, M]]
) -> list[Outcome]:
    with sending(stream.name, count=len(group)):
        return await _publish_group(publisher, stream, source, group)


async def _publish_group(
    publisher: Publisher, stream: EventStream[M], source: str, group: Sequence[tuple[str, M]]
) -> list[Outcome]:
    """Publish one group; what cannot be published is refused and holds nothing else back."""
    encoded: list[tuple[str, bytes]] = []
    refused: list[tuple[int, str, bytes, str]] = []
    for place, (event_id, event) in enumerate(group):
        try:
            payload = encode(event, event_id=event_id, kind=stream.name, source=source)
        except MalformedError as error:
            refused.append((place, event_id, raw_of(event), str(error)))
            continue
        if len(payload) > MAX_ENTRY_BYTES:
            refused.append((place, event_id, payload, too_large(payload)))
        else:
            encoded.append((event_id, payload))
    outcomes = await publisher.publish_group(stream.name, source, encoded) if encoded else []
    for place, event_id, payload, reason in refused:
        try:
            outcome: Outcome = await publisher.refuse(
                stream.name, source, event_id, payload, reason
            )
        except EventRefusedError as refusal:
            outcome = refusal
        outcomes.insert(place, outcome)
    return outcomes


def raw_of(content: object) -> bytes:
    """Return what the dead letters keep of something that JSON cannot hold."""
    return repr(content).encode("utf-8", "backslashreplace")
