"""Two programs that poll with one token are noticed; one program never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient

Poll = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def program(url: str, token: str) -> AsyncIterator[Callable[[], Awaitable[Poll]]]:
    """Makes programs that poll, each over connections of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> Poll:
            session = await stack.enter_async_context(aiohttp.ClientSession())

            async def poll(**parameters: Any) -> dict[str, Any]:
                async with session.post(f"{url}/bot{token}/getUpdates", json=parameters) as answer:
                    body: dict[str, Any] = await answer.json()
                    return body

            return poll

        yield make


async def in_flight(sim: SimClient) -> None:
    """Return when a getUpdates is in flight."""
    async with asyncio.timeout(20):
        while not (await sim.bot()).polls_in_flight:
            await asyncio.sleep(0.01)


async def test_two_polls_in_flight_are_an_incident(
    sim: SimClient, program: Callable[[], Awaitable[Poll]]
) -> None:
    """One incident for the two programs, however often they collide, with its times."""
    older, newer = await program(), await program()
    first = asyncio.create_task(older(timeout=50))
    await in_flight(sim)
    second = asyncio.create_task(newer(timeout=50))
    await first
    before = (await sim.bot()).overlaps
    assert [overlap.kind for overlap in before] == ["overlap"]
    third = asyncio.create_task(older(timeout=50))
    await asyncio.wait({second, third}, return_when=asyncio.FIRST_COMPLETED)
    (overlap,) = (await sim.bot()).overlaps[:1]
    assert (overlap.pollers, overlap.polls) == ((1, 2), 2)
    assert overlap.until > overlap.since
    await sim.write("/end")
    await asyncio.gather(second, third)


async def test_two_programs_that_ask_in_turns_are_an_incident(
    sim: SimClient, program: Callable[[], Awaitable[Poll]]
) -> None:
    """While updates pend nobody waits, so nothing overlaps; but the first one asks again."""
    old, new = await program(), await program()
    many = await sim.write_many("/n {n}", count=30)
    first = many.first_update_id
    assert first is not None
    await old(offset=first, limit=1)
    await old(offset=first + 10, limit=1)
    await new(limit=1)
    assert (await sim.bot()).overlaps == ()
    await old(offset=first + 20, limit=1)
    (overlap,) = (await sim.bot()).overlaps
    assert overlap.kind == "interleaved"


async def test_a_program_that_takes_over_is_no_incident(
    sim: SimClient, program: Callable[[], Awaitable[Poll]]
) -> None:
    """The old one has ended before the new one begins: nothing to report."""
    many = await sim.write_many("/n {n}", count=30)
    first = many.first_update_id
    assert first is not None
    for start in (0, 10, 20):
        poll = await program()
        await poll(limit=1)
        for step in range(1, 5):
            await poll(offset=first + start + step, limit=1)
    assert (await sim.bot()).overlaps == ()


async def test_a_program_with_several_connections_is_no_incident(
    sim: SimClient, program: Callable[[], Awaitable[Poll]]
) -> None:
    """One program may use any connection for any request; its offset never goes back."""
    connections = [await program() for _ in range(3)]
    for poll in connections:
        await poll(offset=0, limit=1)
    many = await sim.write_many("/n {n}", count=30)
    first = many.first_update_id
    assert first is not None
    for step in range(30):
        await connections[step % 3](offset=first + step, limit=1)
    assert (await sim.bot()).overlaps == ()


async def test_a_killed_program_leaves_no_incident(
    sim: SimClient, program: Callable[[], Awaitable[Poll]]
) -> None:
    """A program that dies in a long poll does not collide with the next one."""
    poll = asyncio.create_task((await program())(timeout=50))
    await in_flight(sim)
    poll.cancel()
    async with asyncio.timeout(20):
        while (await sim.bot()).polls_in_flight:
            await asyncio.sleep(0.01)
    await sim.write("/start")
    await (await program())(timeout=5)
    assert (await sim.bot()).overlaps == ()
