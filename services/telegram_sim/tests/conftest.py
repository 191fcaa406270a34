"""A simulator in a process of its own, and both of its APIs."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from telegram_sim.client import SimClient
from telegram_sim.process import SimProcess


@pytest.fixture
def token() -> str:
    """A token of the right shape that no real bot has."""
    return "123456:" + "simulated-token_" * 3


@pytest.fixture
async def process() -> AsyncIterator[SimProcess]:
    """A simulator that keeps its state in memory and does not limit sending."""
    async with SimProcess(limits=False) as started:
        yield started


@pytest.fixture
async def sim(process: SimProcess, token: str) -> AsyncIterator[SimClient]:
    """A client of the simulator's control API."""
    async with process.client(token) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP session."""
    async with aiohttp.ClientSession() as session:
        yield session
