"""The streams runtime is tested against a real server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from shared.streams import Delivery, Limits, StreamBroker
from shared.streams.consume import calling
from tests.servers import RedisServer
from tests.shared.clock import Clock
from tests.shared.members import FAST, StartMember
from tests.shared.said import SAID, Said


@pytest.fixture
async def broker(redis_server: RedisServer) -> AsyncIterator[StreamBroker]:
    """A connected broker."""
    broker = StreamBroker()
    await broker.connect(redis_server.url, source="/tests")
    await broker.wait_until_writable(SAID)
    yield broker
    await broker.close()


@pytest.fixture(params=["by our loop", "through FastStream"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have handlers called by our loop, then through FastStream, though they need nothing of it."""
    if request.param == "through FastStream":
        monkeypatch.setattr(calling, "direct", lambda *_: None)
    return str(request.param)


@pytest.fixture
async def consume(redis_server: RedisServer) -> AsyncIterator[StartMember]:
    """Return a function that starts one more member of a group, in a broker of its own."""
    brokers: list[StreamBroker] = []

    async def start(
        handler: Callable[..., Awaitable[Any]], group: str = "g", limits: Limits = FAST
    ) -> StreamBroker:
        broker = StreamBroker()
        broker.subscribe_event(SAID, group=group, limits=limits)(handler)
        await broker.connect(redis_server.url)
        await broker.start_consumers()
        brokers.append(broker)
        return broker

    yield start
    for broker in brokers:
        await broker.close()


@pytest.fixture
async def handled(redis_server: RedisServer) -> AsyncIterator[list[int]]:
    """What the only member of a group has handled; it gives up what is negative."""
    numbers: list[int] = []
    member = StreamBroker()

    async def handle(event: Said, delivery: Delivery) -> None:
        del delivery
        if event.number < 0:
            raise ValueError("cannot be handled")
        numbers.append(event.number)

    member.subscribe_event(SAID, group="g", limits=FAST)(handle)
    await member.connect(redis_server.url)
    await member.start_consumers()
    yield numbers
    await member.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that is right."""
    return Clock()
