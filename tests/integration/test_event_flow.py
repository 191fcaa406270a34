"""From a message in Telegram to an entry of the stream, with no HTTP in between."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from faststream.redis import RedisBroker, StreamSub
from testcontainers.community.redis import RedisContainer

from shared.generated.events import command_received
from shared.generated.schemas import CommandReceived
from shared.streams import decode
from shared.streams.event.format import CloudEventsFormat
from telegram_sim.client import SimClient
from tests.processes import bot, health_of, simulator, url_of

TEXTS = (
    "/command test arg1 arg2",
    "/command привет 🚀",
    "/command שלום עולם",
    "/command null None 0 false",
    "/command",
    "/command " + "x" * 4087,
)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """The address of a Redis container that nobody else uses."""
    with RedisContainer("redis:8") as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A plain client of an empty Redis; redis-py types a reply as all that it might be."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


async def test_every_command_is_in_the_stream_exactly_once(redis_url: str, client: Any) -> None:
    """XREAD from the start finds the commands that were sent, in order, and nothing else."""
    with simulator() as sim, bot(redis_url, url_of(sim)) as running:
        async with SimClient(url_of(sim)) as telegram:
            await telegram.ready()
            running.wait_for(health_of(running))
            asked = datetime.now(UTC)
            for text in TEXTS:
                written = await telegram.write(text, user=1001)
                answer = await telegram.wait_for_answer(1001, after=written.message_id)
                assert answer.text == "Command published!"
            await telegram.write("no command at all", user=1001)
            help_asked = await telegram.write("/help", user=1001)
            await telegram.wait_for_answer(1001, after=help_asked.message_id)
        assert running.terminate() == 0

    ((name, entries),) = client.xread({"command_received": "0"})
    assert name == b"command_received"
    events = [decode(command_received, fields)[1] for _, fields in entries]
    assert [event.command for event in events] == list(TEXTS)
    assert [event.args for event in events] == [text.split()[1:] for text in TEXTS]
    assert {event.user_id for event in events} == {1001}
    for event in events:
        assert event.timestamp.utcoffset() == timedelta(0)
        assert abs(event.timestamp - asked) < timedelta(minutes=1)

    assert await read_with_faststream(redis_url, len(TEXTS)) == events


async def read_with_faststream(redis_url: str, count: int) -> list[CommandReceived]:
    """Return what a FastStream subscriber of the stream is given from its start."""
    got: list[CommandReceived] = []
    complete = asyncio.Event()
    reader = RedisBroker(redis_url, message_format=CloudEventsFormat)

    @reader.subscriber(stream=StreamSub("command_received", last_id="0"))
    async def read(event: CommandReceived) -> None:
        got.append(event)
        if len(got) == count:
            complete.set()

    async with reader:
        await reader.start()
        await asyncio.wait_for(complete.wait(), 20)
    return got


async def test_nothing_is_published_to_a_channel(redis_url: str, client: Any) -> None:
    """A Pub/Sub subscriber of the same name hears nothing: the event is an entry of a stream."""
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("*")
    listener.get_message(timeout=1)
    with simulator() as sim, bot(redis_url, url_of(sim)) as running:
        async with SimClient(url_of(sim)) as telegram:
            await telegram.ready()
            running.wait_for(health_of(running))
            written = await telegram.write("/command test", user=5)
            await telegram.wait_for_answer(5, after=written.message_id)
    assert listener.get_message(timeout=1) is None
    assert client.type("command_received") == b"stream"
    assert client.xlen("command_received") == 1
    listener.close()
