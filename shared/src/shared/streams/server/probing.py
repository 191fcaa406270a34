"""Whether a server takes writes, and what it holds: small questions, each with a time limit."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from redis.exceptions import OutOfMemoryError

from shared.keys import (
    buried_of,
    dead_letters_of,
    previous_dead_letters_of,
    probe_of,
    replayed_of,
)
from shared.process import Backoff
from shared.streams.event.moments import moment
from shared.streams.retry import UNKNOWN, RedisOutage
from shared.streams.server.memory import Memory, memory_of
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis

PROBE_LIFETIME = 60
"""Seconds that the key of a write probe lives."""
PROBE_TIMEOUT = 2.0
"""Seconds within which a healthy server takes a write."""


async def write(client: "Redis", stream: str, outage: RedisOutage) -> Memory | None:
    """Write something small beside a stream.

    Returns:
        The server's memory; None where it does not answer.
    """
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            with suppress(OutOfMemoryError):
                await client.set(probe_of(stream), "1", ex=PROBE_LIFETIME)
            memory = await memory_of(client)
    except UNKNOWN as error:
        outage.failed(error)
        return None
    if memory.full:
        outage.failed(OutOfMemoryError(f"{memory.share:.0%} of its memory are used"))
    else:
        outage.worked()
    return memory


async def until_written(client: "Redis", stream: str) -> None:
    """Return once the server answers a write; wait with backoff, and say so, until then."""
    outage = RedisOutage("start")
    for delay in iter(Backoff().next, None):
        if await write(client, stream, outage) is not None:
            return
        await asyncio.sleep(delay)


async def memory_in_time(client: "Redis") -> Memory | None:
    """Return what the server has used of its memory; None where it does not tell in time."""
    with suppress(*UNKNOWN):
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await memory_of(client)
    return None


async def oldest(client: "Redis", stream: str) -> datetime | None:
    """Return since when a stream has entries that can be delivered still; None for none."""
    keys = [
        *(stream, dead_letters_of(stream), previous_dead_letters_of(stream)),
        *(replayed_of(stream), buried_of(stream)),
    ]
    milliseconds: bytes | None = await client.register_script(load_script("oldest"))(keys)
    if milliseconds is None:
        return None
    return moment(int(milliseconds))
