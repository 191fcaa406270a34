"""A simulator in a process of its own, and both of its APIs.

Nearly all tests share one process and have a bot of their own in it.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from telegram_sim.client import SimClient, SimProcess
from telegram_sim.world.limits import LimitSettings

Call = Callable[..., Awaitable[dict[str, Any]]]
NUMBERS = itertools.count(100_001)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared() -> AsyncIterator[SimProcess]:
    """A simulator that every test shares; it does not limit sending."""
    async with SimProcess(limits=False) as process:
        yield process


@pytest.fixture
def token() -> str:
    """A token of the right shape that no other test has."""
    return f"{next(NUMBERS)}:" + "simulated-token_" * 3


@pytest.fixture
async def restored(shared: SimProcess) -> AsyncIterator[None]:
    """For a test that injects faults, sets limits or moves the clock: all but the clock goes back.

    The clock stays ahead, which no other test minds.
    """
    yield
    async with shared.client() as sim:
        await sim.clear_faults()
        await sim.set_limits(**asdict(LimitSettings(enabled=False)))


@pytest.fixture
async def process() -> AsyncIterator[SimProcess]:
    """A simulator of the test's own."""
    async with SimProcess() as started:
        yield started


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """Where the test's simulator listens: its own if it has one, else the shared one."""
    name = "process" if "process" in request.fixturenames else "shared"
    simulator: SimProcess = request.getfixturevalue(name)
    return simulator.url


@pytest.fixture
async def sim(url: str, token: str) -> AsyncIterator[SimClient]:
    """A client of the control API, speaking of the test's own bot."""
    async with SimClient(url, token=token) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP session."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def api(url: str, token: str, http: aiohttp.ClientSession) -> Call:
    """Calls a Bot API method as the test's own bot, and returns the whole answer."""

    async def call(method: str, **parameters: Any) -> dict[str, Any]:
        async with http.post(f"{url}/bot{token}/{method}", json=parameters) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == answer.get("error_code", 200)
            return answer

    return call
