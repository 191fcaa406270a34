"""Stopping a consumer: what runs is finished, what waits goes on, nothing new comes."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.streams import ConsumerStoppedError, Delivery, Limits, StreamBroker
from tests.servers import RedisServer
from tests.shared.members import FAST, Recorder, StartMember, pending, until
from tests.shared.said import SAID, Said, said

pytestmark = pytest.mark.usefixtures("way")


async def test_stopping_finishes_what_runs_and_hands_over_the_rest(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """A stop waits for running handlers; what waits for a retry goes to another member at once."""
    started, finished = asyncio.Event(), asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == 1:
            started.set()
            await asyncio.sleep(0.3)
            finished.set()
        else:
            raise ValueError("again")

    slow_retry = Limits(block=0.05, claim_after=3600, first_retry=20, last_retry=20)
    first = await consume(handle, limits=slow_retry)
    await broker.publish_event(SAID, said(1))
    await broker.publish_event(SAID, said(2))
    await started.wait()
    await first.close()
    assert finished.is_set()
    assert pending(redis_server) == 1
    record = Recorder()
    await consume(record, limits=slow_retry)
    await until(lambda: record.numbers == [2])


async def test_a_consumer_that_ends_by_itself_is_an_error(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """`consumers_stopped` raises when a consumer's task ends although nobody stopped it."""
    group = await consume(Recorder())
    watching = asyncio.create_task(group.consumers_stopped())
    await asyncio.sleep(0)
    (task,) = (t for t in asyncio.all_tasks() if t.get_name() == "consume said")
    task.cancel()
    with pytest.raises(ConsumerStoppedError, match="consume said"):
        await asyncio.wait_for(watching, 5)


async def test_what_was_handled_at_the_stop_is_acknowledged(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """A handler that finishes while its consumer stops leaves nothing for another member."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        begun.set()
        await release.wait()

    member = await consume(handle)
    await broker.publish_event(SAID, said(1))
    await asyncio.wait_for(begun.wait(), 10)
    stopping = asyncio.create_task(member.stop_consumers())
    await asyncio.sleep(0)
    client = redis_server.client()
    await until(lambda: client.info("clients")["blocked_clients"] == 0)
    client.client_pause(300, all=False)  # the acknowledgement is on its way when all else is done
    release.set()
    await stopping
    assert pending(redis_server) == 0


async def test_a_member_that_stops_claims_nothing_more(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """While its last handler runs; a dead member's entries are left to those that go on."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        begun.set()
        await release.wait()

    member = await consume(handle)
    await broker.publish_event(SAID, said(1))
    await asyncio.wait_for(begun.wait(), 10)
    stopping = asyncio.create_task(member.stop_consumers())
    client = redis_server.client()
    await until(lambda: client.info("clients")["blocked_clients"] == 0)
    published = await broker.publish_event(SAID, said(2))
    client.xreadgroup("g", "dead", {"said": ">"})

    def left() -> Any:
        (entry,) = client.xpending_range("said", "g", published.entry_id, published.entry_id, 1)
        return entry

    # Twice as long as others wait before they claim, and some rounds of claiming.
    idle = 2_000 * FAST.claim_after
    await until(lambda: left()["consumer"] != b"dead" or left()["time_since_delivered"] > idle)
    assert left()["consumer"] == b"dead"
    release.set()
    await stopping


async def test_a_handler_that_outlasts_the_grace_is_ended(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """With the stop, and not later: its entry is another member's from then on."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    member = await consume(handle)
    await broker.publish_event(SAID, said(1))
    await asyncio.wait_for(begun.wait(), 10)
    await member.stop_consumers(grace=0.2)
    assert ended.is_set()
    record = Recorder()
    await consume(record)
    await until(lambda: record.seen == [(1, 2)])


async def test_an_outage_is_told_once_and_so_is_its_end(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """By the reader of a consumer, however often it asks meanwhile."""
    record = Recorder()

    def outages() -> list[str]:
        return [line["event"] for line in lines if line.get("purpose") == "consume"]

    with capture_logs() as lines:
        await consume(record)
        await broker.publish_event(SAID, said(1))
        await until(lambda: record.numbers == [1])
        assert outages() == []
        redis_server.kill()
        await until(lambda: outages() == ["redis unavailable"])
        redis_server.start()
        await until(lambda: outages() == ["redis unavailable", "redis available"])
        await broker.publish_event(SAID, said(2))
        await until(lambda: record.numbers == [1, 2])
    assert outages() == ["redis unavailable", "redis available"]
