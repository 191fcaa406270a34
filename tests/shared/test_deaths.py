"""One event that kills whoever handles it takes nothing else with it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from shared.streams import Delivery, Limits, StreamBroker, TryLaterError
from shared.streams.consume.group import Group
from shared.streams.consume.hand import Hand
from shared.streams.consume.turns import Turns
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


async def test_what_is_in_hand_is_not_taken_in_hand_again(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A member that was frozen claims what is its own: the handler that runs is the only one."""
    await broker.publish_event(SAID, said(1))
    redis_server.client().xgroup_create("said", "g", id="0")
    group, calls, release = Group(await broker.connect(), "said", "g", "a"), 0, asyncio.Event()

    async def handle(*_: Any) -> None:
        nonlocal calls
        calls += 1
        await release.wait()

    hand = Hand(group, SAID, handle, Limits(), Turns())
    hand.take(await group.read(10, 0.05))
    await eventually(lambda: calls == 1)
    hand.take(await group.claim(10, 0))
    release.set()
    await eventually(lambda: not len(hand))
    assert await hand.drain() == []
    assert calls == 1


@pytest.mark.parametrize(("deaths", "handled"), [(2, 1), (3, 0)])
async def test_an_entry_is_tried_alone_once_however_few_deliveries_are_allowed(
    deaths: int, handled: int, broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Two deaths may be those of others: before the third nothing is buried unheard."""
    await broker.publish_event(SAID, said(1))
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    group, calls = Group(await broker.connect(), "said", "g", "a"), 0
    (entry,) = await group.read(10, 0.05)

    async def handle(*_: Any) -> None:
        nonlocal calls
        calls += 1

    hand = Hand(group, SAID, handle, Limits(deliveries=1), Turns())
    hand.take([replace(entry, deliveries=deaths, claimed=True)])
    await eventually(lambda: client.xpending("said", "g")["pending"] == 0)
    assert (calls, client.xlen(SAID.dead_letters)) == (handled, 1 - handled)


class SlowGroup(Group):
    """A member whose acknowledgements are long on their way."""

    async def acknowledge(self, ids: Iterable[str]) -> None:
        """Finish with entries, after a while."""
        await asyncio.sleep(0.3)
        await super().acknowledge(ids)


async def test_what_was_handled_alone_is_finished_before_the_next_one_begins(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Else one that kills takes its neighbour's acknowledgement with it, until that is buried."""
    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(3)])
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    group, pending = SlowGroup(await broker.connect(), "said", "g", "a"), list[int]()

    async def handle(*_: Any) -> None:
        pending.append(await asyncio.to_thread(lambda: client.xpending("said", "g")["pending"]))

    hand = Hand(group, SAID, handle, Limits(), Turns())
    hand.take([replace(e, deliveries=2, claimed=True) for e in await group.read(10, 0.05)])
    await eventually(lambda: client.xpending("said", "g")["pending"] == 0)
    assert pending == [3, 2, 1]


async def test_more_than_one_round_can_take_is_claimed_at_once(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Who takes over a long backlog does not wait for the next time to look after every few."""
    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(8)])
    client, numbers = redis_server.client(), set[int]()
    client.xgroup_create("said", "g", id="0")
    ((_, entries),) = client.xreadgroup("g", "dead", {"said": ">"})
    ids = [id_ for id_, _ in entries]
    client.xclaim("said", "g", "dead", 0, ids, idle=1_000_000, justid=True)

    async def handle(event: Said) -> None:
        numbers.add(event.number)

    limits = Limits(block=0.05, claim_after=300.0, in_hand=1)
    broker.subscribe_event(SAID, group="g", limits=limits)(handle)
    await broker.start_consumers()
    await eventually(lambda: numbers == {*range(8)}, seconds=60)


def _pending(client: Any) -> Any:
    """Return what the group has not finished with, in the order of the stream."""
    return client.xpending_range("said", "g", min="-", max="+", count=10)
