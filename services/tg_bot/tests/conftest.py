"""The bot is tested as a process, between a real Redis and the simulator."""

from collections.abc import AsyncIterator, Iterator

import pytest

from telegram_sim.client import SimClient
from tests.processes import Service, simulator, url_of
from tests.servers import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis-compatible server of this test alone."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def sim() -> Iterator[Service]:
    """A simulator of this test alone."""
    with simulator() as sim:
        yield sim


@pytest.fixture
async def telegram(sim: Service) -> AsyncIterator[SimClient]:
    """The simulator's control API, serving."""
    async with SimClient(url_of(sim)) as client:
        await client.ready()
        yield client
