"""How much a member takes in hand, whatever there is to read and to claim."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.streams import Delivery, Limits, StreamBroker
from shared.streams.consume.group import Group
from tests.servers import RedisServer
from tests.shared.members import FAST, Recorder, StartMember, until
from tests.shared.said import SAID, Said, said


async def test_a_member_never_has_more_than_twice_its_limit_in_hand(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Once new ones and once what others left behind; and it waits without asking for more."""
    client = redis_server.client()
    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(20)])
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "dead", {"said": ">"}, count=10)
    begun = set[int]()

    async def handle(event: Said, delivery: Delivery) -> None:
        begun.add(event.number)
        await asyncio.Event().wait()

    def left() -> list[Any]:
        entries: list[Any] = client.xpending_range("said", "g", "-", "+", 20)
        return [entry for entry in entries if entry["consumer"] == b"dead"]

    limits = Limits(block=0.05, claim_after=FAST.claim_after, in_hand=2, concurrency=20)
    with capture_logs() as lines:
        member = await consume(handle, limits=limits)
        await until(lambda: len(begun) == 4)
        # Some rounds of claiming later.
        idle = 5_000 * limits.claim_after
        await until(lambda: min(entry["time_since_delivered"] for entry in left()) > idle)
        await member.stop_consumers(grace=0)
    assert len(begun) == 4
    assert len(left()) == 8
    assert [line["event"] for line in lines if line.get("purpose") == "consume"] == []


async def test_an_entry_that_was_just_read_is_counted(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """However short ago that was: it is in hand, and nobody else's."""
    published = await broker.publish_event(SAID, said(1))
    redis_server.client().xgroup_create("said", "g", id="0")
    group = Group(await broker.connect(), "said", "g", "a")
    await group.read(1, 0.05)
    for deliveries in range(1, 100):
        await group.keep([published.entry_id])
        assert await group.redeliver(published.entry_id, deliveries)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_entries_come_in_either_version_of_the_protocol(
    broker: StreamBroker, redis_server: RedisServer, protocol: int
) -> None:
    """REDIS_URL may name one; one entry and several have other forms in each."""
    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(5)])
    member, record = StreamBroker(), Recorder()
    limits = Limits(block=0.05, in_hand=1)
    member.subscribe_event(SAID, group="g", limits=limits)(record)
    member.subscribe_event(SAID, group="h", limits=FAST)(record)
    await member.connect(f"{redis_server.url}?protocol={protocol}")
    await member.start_consumers()
    try:
        await until(lambda: len(record.seen) == 10)
        assert sorted(record.numbers) == sorted([*range(5)] * 2)
    finally:
        await member.close()
