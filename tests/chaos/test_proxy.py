"""The fault proxy does to a connection what its names say, and nothing else."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoReply

from tests.proxy import RedisProxy
from tests.servers import RedisServer


@pytest.fixture
async def client(proxy: RedisProxy) -> AsyncIterator["Redis"]:
    """A client that goes through the proxy and repeats nothing by itself."""
    client = Redis.from_url(proxy.url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
    yield client
    await client.aclose()
    with warnings.catch_warnings():
        # redis-py leaves the socket of a connection that was reset to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_whole_proxy_changes_nothing(client: "Redis") -> None:
    """Large values pass in both directions, byte for byte."""
    value = bytes(range(256)) * 8192
    await client.set("large", value)
    assert await client.get("large") == value


async def test_a_lost_reply_belongs_to_a_command_that_was_carried_out(
    proxy: RedisProxy, client: "Redis", redis_server: RedisServer
) -> None:
    """The client gets an error, and the entry is there: an error means unknown."""
    strike = proxy.lose_replies(containing=b"XADD")
    assert await client.ping()
    with pytest.raises(Disconnected):
        await client.xadd("stream", {"n": 1})
    assert strike.done.is_set()
    assert redis_server.client().xlen("stream") == 1
    await client.xadd("stream", {"n": 2})
    assert proxy.struck["lost reply"] == 1


async def test_a_torn_command_was_not_carried_out(
    proxy: RedisProxy, client: "Redis", redis_server: RedisServer
) -> None:
    """The client gets the same error, and nothing is there."""
    proxy.tear_commands(containing=b"XADD")
    with pytest.raises(Disconnected):
        await client.xadd("stream", {"n": 1})
    assert redis_server.client().xlen("stream") == 0
    await client.xadd("stream", {"n": 2})


async def test_a_black_hole_takes_everything_and_gives_nothing(
    proxy: RedisProxy, client: "Redis"
) -> None:
    """Old and new connections run into their timeout; after `restore` new ones work."""
    await client.ping()
    proxy.black_hole()
    for _ in range(2):
        with pytest.raises(NoReply):
            await client.ping()
    proxy.restore()
    assert await client.ping()


async def test_a_mute_proxy_passes_commands_and_no_reply(
    proxy: RedisProxy, client: "Redis", redis_server: RedisServer
) -> None:
    """What was struck is carried out and nobody learns of it; after `restore` replies come."""
    called: list[str] = []
    strike = proxy.mute_from(b"XADD", lambda: called.append("first"))
    assert await client.ping()
    with pytest.raises(NoReply):
        await client.xadd("stream", {"n": 1})
    assert strike.done.is_set()
    assert called == ["first"]
    assert redis_server.client().xlen("stream") == 1
    proxy.restore()
    assert await client.ping()


async def test_a_reset_ends_commands_that_wait(proxy: RedisProxy, client: "Redis") -> None:
    """A blocking read is ended with an error at once."""
    reading = asyncio.ensure_future(client.xread({"nothing": "0"}, block=30_000))
    while not proxy._connections:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert proxy.reset_connections() >= 1
    with pytest.raises(RedisError):
        await reading


async def test_a_dead_server_is_a_refused_connection(
    client: "Redis", redis_server: RedisServer
) -> None:
    """Where the server is gone the client finds nobody; when it is back, it works again."""
    await client.ping()
    redis_server.kill()
    with pytest.raises(RedisError):
        await client.ping()
    redis_server.start()
    assert await client.ping()
