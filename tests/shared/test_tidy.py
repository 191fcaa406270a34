"""Trimming: what all groups have finished with and is old goes; everything else stays."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.streams import EventStream, StreamBroker, tidying
from shared.streams.tidying import Tidier
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.said import SAID, Said, said


@pytest.fixture
async def tidier(redis_server: RedisServer) -> AsyncIterator[Tidier]:
    """What a publisher tidies with, over a client of its own."""
    client = Redis.from_url(redis_server.url)
    yield Tidier(client)
    await client.aclose()


def fill(server: RedisServer, count: int, stream: str = "said") -> list[str]:
    """Append entries with old ids 1-0, 2-0, … and return the ids."""
    client = server.client()
    return [client.xadd(stream, {"n": n}, id=f"{n}-0").decode() for n in range(1, count + 1)]


def ids(server: RedisServer) -> list[str]:
    """Return the ids of the entries that are left."""
    return [id_.decode() for id_, _ in server.client().xrange("said")]


async def test_unread_entries_stay(redis_server: RedisServer, tidier: Tidier) -> None:
    """However old it is, an entry that some group has not read is not trimmed."""
    fill(redis_server, 12)
    client = redis_server.client()
    client.xgroup_create("said", "fast", id="0")
    client.xgroup_create("said", "slow", id="0")
    for name, count in (("fast", 12), ("slow", 3)):
        entries = client.xreadgroup(name, "m", {"said": ">"}, count=count)[0][1]
        client.xack("said", name, *(id_ for id_, _ in entries))
    assert await tidier.tidy("said", retention=0) == (2, 0)
    assert ids(redis_server)[0] == "3-0"
    assert len(ids(redis_server)) == 10


async def test_pending_entries_stay(redis_server: RedisServer, tidier: Tidier) -> None:
    """An entry that was read but not acknowledged, and all after it, stay."""
    fill(redis_server, 12)
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "m", {"said": ">"})
    client.xack("said", "g", *(f"{n}-0" for n in range(1, 13) if n != 9))
    await tidier.tidy("said", retention=0)
    assert ids(redis_server) == ["9-0", "10-0", "11-0", "12-0"]


async def test_young_entries_stay(redis_server: RedisServer, tidier: Tidier) -> None:
    """Within the retention nothing goes, although every group has finished with it."""
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    for n in range(5):
        client.xadd("said", {"n": n})
    entries = client.xreadgroup("g", "m", {"said": ">"})[0][1]
    client.xack("said", "g", *(id_ for id_, _ in entries))
    assert await tidier.tidy("said", retention=3600) == (0, 0)
    assert len(ids(redis_server)) == 5


async def test_a_stream_without_groups_stays(redis_server: RedisServer, tidier: Tidier) -> None:
    """Nobody has read it yet, so nothing goes; a stream that is not there is no error."""
    assert await tidier.tidy("said", retention=0) == (0, 0)
    fill(redis_server, 3)
    assert await tidier.tidy("said", retention=0) == (0, 0)
    assert len(ids(redis_server)) == 3


async def test_who_publishes_tidies(broker: StreamBroker, redis_server: RedisServer) -> None:
    """From its first publish on, a process trims by the stream's own retention."""
    fill(redis_server, 3)
    client = redis_server.client()
    client.xgroup_create("other", "g", id="0", mkstream=True)
    fill(redis_server, 3, "other")
    client.xreadgroup("g", "m", {"other": ">"}, noack=True)
    other = EventStream(name="other", model=Said, retention=3600)
    await broker.publish_event(other, said(4))
    # XTRIM keeps its bound, here the last entry that the group was given, and the new one.
    await eventually(lambda: client.xlen("other") == 2)
    assert len(ids(redis_server)) == 3  # SAID has no group: nobody has read it yet


async def test_who_has_published_nothing_yet_tidies(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A bot that refuses no update for weeks trims those that were replayed all the same."""
    client = redis_server.client()
    client.xgroup_create("other", "g", id="0", mkstream=True)
    fill(redis_server, 3, "other")
    client.xreadgroup("g", "m", {"other": ">"}, noack=True)
    await broker.wait_until_writable(EventStream(name="other", model=Said, retention=3600))
    await eventually(lambda: client.xlen("other") == 1)  # XTRIM keeps its bound


async def test_finished_entries_go_early_where_memory_runs_short(
    broker: StreamBroker, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the pressure's share of maxmemory their age counts no more; unread ones stay."""
    monkeypatch.setattr(tidying, "LOOK_EVERY", 0.1)
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    for n in range(1, 11):
        await broker.publish_event(SAID, said(n))
    client.xreadgroup("g", "m", {"said": ">"}, count=7, noack=True)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used * 100)
    await broker.publish_event(SAID, said(11))
    assert client.xlen("said") == 11
    client.config_set("maxmemory", int(used / 0.8))
    await eventually(lambda: client.xlen("said") == 5)  # XTRIM keeps the bound, the last one read


async def test_a_full_server_is_tidied(redis_server: RedisServer, tidier: Tidier) -> None:
    """Trimming is what makes room, so it works where every other write is refused."""
    fill(redis_server, 12)
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "m", {"said": ">"}, noack=True)
    client.config_set("maxmemory", 1)
    assert await tidier.tidy("said", retention=0) == (11, 0)
