"""Servers and processes that a test has for itself: the fixtures of every suite."""

from collections.abc import AsyncIterator, Iterator

import pytest

from telegram_sim.client import SimClient
from tests.processes import Service, simulator, url_of
from tests.proxy import RedisProxy
from tests.servers import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis-compatible server of this test alone."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[RedisProxy]:
    """A proxy before this test's server."""
    async with RedisProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def sim() -> Iterator[Service]:
    """An offline Telegram of this test alone."""
    with simulator() as sim:
        yield sim


@pytest.fixture
async def telegram(sim: Service) -> AsyncIterator[SimClient]:
    """The simulator's control API, serving."""
    async with SimClient(url_of(sim)) as client:
        await client.ready()
        yield client
