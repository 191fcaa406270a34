"""How far the groups of streams are, and how many dead letters there are: for whoever looks on."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from shared.keys import dead_letters_of
from shared.streams.consume.group import state_of

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """How far a group is.

    `lag` counts the entries that it has not read, None where Redis cannot tell; `lag_seconds` is
    the age of the oldest of them. `pending` counts those that it has read and not finished with.
    """

    group: str
    lag: int | None
    lag_seconds: float | None
    pending: int
    oldest_pending_seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """A stream: how many entries and dead letters it has, and how far its groups are."""

    stream: str
    entries: int
    dead_letters: int
    groups: tuple[GroupStanding, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


async def standing(client: "Redis", streams: Iterable[str]) -> list[StreamStanding]:
    """Return how streams stand, each as it is when it is asked; raises RedisError."""
    return [await _of_stream(client, stream) for stream in streams]


async def _of_stream(client: "Redis", stream: str) -> StreamStanding:
    try:
        listed: list[Any] = await client.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        listed = []
    groups = []
    for name in sorted(group["name"] for group in listed):
        state = await state_of(client, stream, name)
        how_far = state.lag, state.lag_seconds, state.pending, state.oldest_pending_seconds
        groups.append(GroupStanding(name.decode(errors="backslashreplace"), *how_far))
    letters = int(await client.xlen(dead_letters_of(stream)))
    return StreamStanding(stream, int(await client.xlen(stream)), letters, tuple(groups))
