"""What the tests of the console share."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from shared.streams import StreamBroker
from tests.console.browser import browser
from tests.servers import RedisServer


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    async with browser() as chromium:
        yield chromium


@pytest.fixture
async def broker(redis_server: RedisServer) -> AsyncIterator[StreamBroker]:
    """A connected broker."""
    broker = StreamBroker()
    await broker.connect(redis_server.url, source="/tests")
    yield broker
    await broker.close()
