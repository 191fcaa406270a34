"""Trimming: what all groups have finished with and is old goes; everything else stays."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.streams.group import Group
from tests.servers import RedisServer


@pytest.fixture
async def group(redis_server: RedisServer) -> AsyncIterator[Group]:
    """A member of a group over a client of its own."""
    client = Redis.from_url(redis_server.url)
    yield Group(client, "said", "g", "m")
    await client.aclose()


def fill(server: RedisServer, count: int) -> list[str]:
    """Append entries with old ids 1-0, 2-0, … and return the ids."""
    client = server.client()
    return [client.xadd("said", {"n": n}, id=f"{n}-0").decode() for n in range(1, count + 1)]


def ids(server: RedisServer) -> list[str]:
    """Return the ids of the entries that are left."""
    return [id_.decode() for id_, _ in server.client().xrange("said")]


async def test_unread_entries_stay(redis_server: RedisServer, group: Group) -> None:
    """However old it is, an entry that some group has not read is not trimmed."""
    fill(redis_server, 12)
    client = redis_server.client()
    client.xgroup_create("said", "fast", id="0")
    client.xgroup_create("said", "slow", id="0")
    for name, count in (("fast", 12), ("slow", 3)):
        found = client.xreadgroup(name, "m", {"said": ">"}, count=count)[0][1]
        client.xack("said", name, *(id_ for id_, _ in found))
    assert await group.tidy(retention=0) == (2, 0)
    assert ids(redis_server)[0] == "3-0"
    assert len(ids(redis_server)) == 10


async def test_pending_entries_stay(redis_server: RedisServer, group: Group) -> None:
    """An entry that was read but not acknowledged, and all after it, stay."""
    fill(redis_server, 12)
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "m", {"said": ">"})
    client.xack("said", "g", *(f"{n}-0" for n in range(1, 13) if n != 9))
    await group.tidy(retention=0)
    assert ids(redis_server) == ["9-0", "10-0", "11-0", "12-0"]


async def test_young_entries_stay(redis_server: RedisServer, group: Group) -> None:
    """Within the retention nothing goes, although every group has finished with it."""
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    for n in range(5):
        client.xadd("said", {"n": n})
    found = client.xreadgroup("g", "m", {"said": ">"})[0][1]
    client.xack("said", "g", *(id_ for id_, _ in found))
    assert await group.tidy(retention=3600) == (0, 0)
    assert len(ids(redis_server)) == 5


async def test_a_stream_without_groups_stays(redis_server: RedisServer, group: Group) -> None:
    """Nobody has read it yet, so nothing goes; a stream that is not there is no error."""
    assert await group.tidy(retention=0) == (0, 0)
    fill(redis_server, 3)
    assert await group.tidy(retention=0) == (0, 0)
    assert len(ids(redis_server)) == 3
