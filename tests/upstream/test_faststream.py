"""What FastStream does that Herald works around."""

import asyncio
import os
import sys

from faststream.redis import BinaryMessageFormatV1, RedisBroker, StreamSub

from tests.conditions import eventually
from tests.servers import RedisServer
from tests.upstream import still

CONSUMERS = "shared.streams' own consumer"
APP = """
import asyncio, os, sys
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
broker = RedisBroker(sys.argv[1])
@broker.subscriber(stream=StreamSub("stream", group="group", consumer="me", polling_interval=50))
async def handle(message: str) -> None: ...
asyncio.run(FastStream(broker).run())
"""


async def test_a_new_group_skips_what_was_published_before(redis_server: RedisServer) -> None:
    """It begins at the end of the stream."""
    early = redis_server.client().xadd("stream", {"n": 1})
    broker = RedisBroker(redis_server.url)
    broker.subscriber(stream=StreamSub("stream", group="group", consumer="me"))(_ignore)
    await broker.start()
    await broker.stop()
    (group,) = redis_server.client().xinfo_groups("stream")
    still(group["last-delivered-id"] == early, "FastStream's group begins at $", CONSUMERS)


async def test_a_failed_message_is_left_pending(redis_server: RedisServer) -> None:
    """It is neither tried again nor put aside, though the consumer goes on with the next."""
    handled = []

    async def fail_once(message: str) -> None:
        handled.append(message)
        if len(handled) == 1:
            raise ValueError(message)

    broker = RedisBroker(redis_server.url)
    sub = StreamSub("stream", group="group", consumer="me", polling_interval=20)
    broker.subscriber(stream=sub)(fail_once)
    await broker.start()
    await broker.publish("first", stream="stream")
    await broker.publish("second", stream="stream")
    await eventually(lambda: handled[-1:] == ["second"])
    await broker.stop()
    pending = redis_server.client().xpending("stream", "group")["pending"]
    still((handled, pending) == (["first", "second"], 1), "FastStream leaves a failure", CONSUMERS)


async def test_a_lost_group_ends_the_app_as_if_all_were_well(redis_server: RedisServer) -> None:
    """The consumer ends on NOGROUP, and the process with 0: nobody starts it again."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", APP, redis_server.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ},
    )
    client = redis_server.client()
    await eventually(lambda: client.exists("stream") and client.xinfo_groups("stream"))
    client.delete("stream")
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert b"shut down gracefully" in output
    still(process.returncode == 0, "FastStream ends with 0 on NOGROUP", CONSUMERS)


async def test_headers_that_are_not_ascii_corrupt_a_message() -> None:
    """Their length is counted in characters and written in bytes."""
    message = await BinaryMessageFormatV1.encode(
        message="body", reply_to=None, headers={"name": "привет"}, correlation_id="1"
    )
    body, headers = BinaryMessageFormatV1.parse(message)
    whole = body == b"body" and headers.get("name") == "привет"
    still(not whole, "FastStream's binary format breaks such headers", "CloudEventsFormat's parse")


async def _ignore(message: str) -> None:
    """Take a message."""
