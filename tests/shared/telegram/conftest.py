"""The bot runtime is tested with a bot of its own, between a real Redis and the simulator."""

from collections.abc import AsyncIterator, Iterator

import pytest

from telegram_sim.client import SimClient
from tests.processes import Service, simulator, url_of


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
