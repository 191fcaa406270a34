"""What redis-py does that Herald works around."""

import asyncio
import sys

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnectionError

from tests.proxy import RedisProxy
from tests.servers import RedisServer
from tests.upstream import still


async def test_the_default_client_doubles_a_write(
    proxy: RedisProxy, redis_server: RedisServer
) -> None:
    """It repeats a command whose reply was lost, without a word; one made from a URL does not."""
    client = Redis(port=int(proxy.url.rpartition(":")[2]))
    proxy.lose_replies(containing=b"XADD")
    await client.xadd("stream", {"n": 1})
    await client.aclose()
    entries = redis_server.client().xlen("stream")
    still(entries == 2, "redis-py repeats a command", "Retry(NoBackoff(), 0) in connection.py")


async def test_the_default_pool_raises_where_it_could_wait(redis_server: RedisServer) -> None:
    """Of 256 writes at once some are not even sent."""
    client = Redis.from_url(redis_server.url)
    writes = [client.set(f"key {n}", "1") for n in range(256)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    await client.aclose()
    failed = [error for error in results if isinstance(error, NoConnectionError)]
    still(bool(failed), "redis-py's pool raises when it is empty", "BlockingConnectionPool")


async def test_wait_for_swallows_a_cancellation() -> None:
    """It comes in the same turn as the result; redis-py sends within wait_for (bpo-37658)."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(asyncio.wait_for(answer, 10))
    await asyncio.sleep(0)
    answer.set_result("sent")
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert (result == "sent") == (sys.version_info < (3, 12))
    oldest = (3, 11)  # of pyproject.toml's requires-python
    still(oldest < (3, 12), "Python's wait_for swallows a cancellation", "check_cancelled()")
