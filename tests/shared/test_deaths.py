"""One event that kills whoever handles it takes nothing else with it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from shared.streams import Delivery, Limits, StreamBroker, TryLaterError
from shared.streams.consume.group import Group
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.mortal_member import LIMITS
from tests.shared.said import SAID, Said, said

DEADLY = 40


@pytest.fixture
async def reborn(redis_server: RedisServer) -> AsyncIterator[Callable[[], int]]:
    """A member of the group that is started again whenever it has died; and its deaths."""
    deaths = 0

    async def keep_alive() -> None:
        nonlocal deaths
        while True:
            command = ("-m", "tests.shared.mortal_member", redis_server.url, str(DEADLY))
            process = await asyncio.create_subprocess_exec(sys.executable, *command)
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            deaths += 1

    task = asyncio.create_task(keep_alive())
    yield lambda: deaths
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_entry_that_kills_is_buried_alone(
    broker: StreamBroker, redis_server: RedisServer, reborn: Callable[[], int]
) -> None:
    """Of 100 entries the deadly one is buried after its deliveries, and all others are handled."""
    events = [(str(n), said(n)) for n in range(100)]
    await broker.publish_events(SAID, events)
    client = redis_server.client()
    await eventually(lambda: client.xlen(SAID.dead_letters) > 0, seconds=60)
    await eventually(lambda: client.xpending("said", "g")["pending"] == 0, seconds=60)
    ((_, letter),) = client.xrange(SAID.dead_letters)
    assert letter[b"event_id"] == str(DEADLY).encode()
    assert int(letter[b"deliveries"]) == LIMITS.deliveries == reborn()
    assert {int(id_) for id_ in client.smembers("handled")} == {*range(100)} - {DEADLY}


async def test_what_waits_beside_a_lone_entry_is_not_counted(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """While an entry is handled alone, neither what was claimed with it nor new ones begin."""
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    first = await broker.publish_event(SAID, said(0))
    await broker.publish_event(SAID, said(1))
    client.xreadgroup("g", "dead", {"said": ">"})
    client.xclaim("said", "g", "dead", 0, [first.entry_id], retrycount=2, justid=True)
    running, most, release = set[int](), 0, asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        nonlocal most
        running.add(event.number)
        most = max(most, len(running))
        if event.number == 0:
            await release.wait()
        running.discard(event.number)

    member = StreamBroker()
    limits = Limits(block=0.05, claim_after=0.3, concurrency=4)
    member.subscribe_event(SAID, group="g", limits=limits)(handle)
    await member.connect(redis_server.url)
    await member.start_consumers()
    try:
        await eventually(lambda: running == {0})
        behind = await broker.publish_event(SAID, said(2))
        await eventually(lambda: client.xpending("said", "g")["pending"] == 2)
        counts = {p["message_id"].decode(): p["times_delivered"] for p in _pending(client)}
        assert counts == {first.entry_id: 3, behind.entry_id: 1}
        assert running == {0}
        release.set()
        await eventually(lambda: client.xpending("said", "g")["pending"] == 0)
        assert most == 1
    finally:
        await member.close()


async def test_claiming_counts_no_delivery(broker: StreamBroker, redis_server: RedisServer) -> None:
    """Only a handler that begins is counted: being handed on does an entry no harm."""
    await broker.publish_event(SAID, said(1))
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "dead", {"said": ">"})
    for member in ("a", "b", "c"):
        (entry,) = await Group(await broker.connect(), "said", "g", member).claim(10, 0)
        assert (entry.deliveries, entry.claimed) == (1, True)
    assert [p["times_delivered"] for p in _pending(client)] == [1]


async def test_waiting_for_a_dependency_counts_for_no_delivery(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """However often processes end while a database is away, nothing that waits for it is buried."""
    await broker.publish_event(SAID, said(7))
    limits = Limits(block=0.05, claim_after=0.3, deliveries=3)
    attempts: list[int] = []

    async def cannot(event: Said, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise TryLaterError("the database is away")

    async def lives_until(attempted: int) -> None:
        member = StreamBroker()
        member.subscribe_event(SAID, group="g", limits=limits)(cannot)
        await member.connect(redis_server.url)
        await member.start_consumers()
        await eventually(lambda: len(attempts) >= attempted, seconds=10)
        await member.close()

    for attempted in range(1, 2 * limits.deliveries):
        await lives_until(attempted)
    assert set(attempts) == {1}
    assert redis_server.client().xlen(SAID.dead_letters) == 0


def _pending(client: Any) -> Any:
    """Return what the group has not finished with, in the order of the stream."""
    return client.xpending_range("said", "g", min="-", max="+", count=10)
