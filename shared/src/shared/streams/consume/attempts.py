"""Why attempts to handle entries have failed: kept for a journey, and for nothing else.

They stand beside the stream, so that they outlive the process and tell of every member. Only an
attempt that fails writes one, and what keeps it from being written keeps nothing else.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.keys import attempts_of
from shared.streams.consume.delivery import DeliveryInfo

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST = 1000
"""Failed attempts of a stream that are kept, about; the oldest go first."""
KEPT = 24 * 3600
"""Seconds after the newest one in which all of them are forgotten."""
MOST_REASON = 300
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt of a group to handle an entry.

    Attributes:
        group: the group.
        number: which of the entry's attempts it was, from 1; 0 for one that does not count.
        reason: why it failed, in one line.
        time: when it failed, by Redis' clock.
    """

    group: str
    number: int
    reason: str
    time: datetime


async def write(
    client: "Redis", group: str, delivery: DeliveryInfo, number: int, reason: str
) -> None:
    """Keep an attempt of a group at a delivery, in one round trip.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: it may not be kept.
    """
    key = attempts_of(delivery.stream)
    fields: dict[Any, Any] = {
        "entry_id": delivery.entry_id,
        "event_id": delivery.event_id,
        "group": group,
        "number": number,
        "reason": reason[:MOST_REASON],
    }
    async with client.pipeline(transaction=False) as pipe:
        pipe.xadd(key, fields, maxlen=MOST, approximate=True)
        pipe.expire(key, KEPT)
        await pipe.execute()


async def read(client: "Redis", stream: str, entry_id: str, event_id: str) -> list[FailedAttempt]:
    """Return the attempts at an event's entry that are kept, the oldest first.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
    """
    newest: Any = await client.xrevrange(attempts_of(stream), count=2 * MOST)
    entry = entry_id.encode(), event_id.encode()
    return [
        FailedAttempt(
            group=fields[b"group"].decode(errors="replace"),
            number=int(fields[b"number"]),
            reason=fields[b"reason"].decode(errors="replace"),
            time=datetime.fromtimestamp(int(id_.split(b"-")[0]) / 1000, UTC),
        )
        for id_, fields in reversed(newest)
        if (fields[b"entry_id"], fields[b"event_id"]) == entry
    ]
