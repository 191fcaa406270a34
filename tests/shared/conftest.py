"""The streams runtime is tested against a real server."""

from collections.abc import AsyncIterator

import pytest

from shared.streams import StreamBroker
from tests.servers import RedisServer
from tests.shared.said import SAID


@pytest.fixture
async def broker(redis_server: RedisServer) -> AsyncIterator[StreamBroker]:
    """A connected broker."""
    broker = StreamBroker()
    await broker.connect(redis_server.url, source="/tests")
    await broker.wait_until_writable(SAID)
    yield broker
    await broker.close()
