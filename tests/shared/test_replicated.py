"""With copies an event counts when a replica has it, and again when the primary has changed.

What these tests stand on is shown as well: what Redis does without each protection.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.generated.events import broker
from shared.streams import EventRefusedError, StreamBroker
from shared.streams.server import replicated
from shared.telegram.updates.parking import Parked, Parking
from tests.conditions import eventually
from tests.copies import SERVICE, Copies, Node, copies
from tests.servers import RedisServer
from tests.shared.said import SAID, said

pytestmark = pytest.mark.timeout(300)  # three Sentinels beside another suite
NEVER = f"down-after-milliseconds {SERVICE} 3600000"
"""An option of Sentinels that choose no other primary by themselves."""


@pytest.fixture
def three() -> Iterator[Copies]:
    """Three copies whose primary changes when a test says so."""
    with copies(NEVER) as three:
        yield three


@pytest.fixture
async def publisher(three: Copies) -> AsyncIterator[StreamBroker]:
    """A broker that has published something, so that it is connected."""
    broker = StreamBroker()
    await broker.connect(three.url, source="/tests")
    await broker.publish_event(SAID, said(0), event_id="first")
    yield broker
    await broker.close()


def waits(node: Node) -> int:
    """Return how often a server was asked to WAIT."""
    return int(node.client().info("commandstats").get("cmdstat_wait", {"calls": 0})["calls"])


def texts(node: Node) -> list[str]:
    """Return the ids of the events in a server's stream, in its order."""
    entries = node.client().xrange("said")
    return [
        str(fields[b"__data__"].split(b'"id":"')[1].split(b'"')[0].decode())
        for _, fields in entries
    ]


def name_primary(three: Copies, node: Node) -> None:
    """Have every Sentinel name another primary, and everybody follow it."""
    for each in three.nodes:
        sentinel = each.sentinel()
        sentinel.execute_command("SENTINEL", "REMOVE", SERVICE)
        sentinel.execute_command("SENTINEL", "MONITOR", SERVICE, *node.where, 2)
        sentinel.execute_command("SENTINEL", "SET", SERVICE, *NEVER.split()[::2])


async def test_one_copy_costs_nothing(broker: StreamBroker, redis_server: RedisServer) -> None:
    """Neither WAIT nor a touch key, nor a question which server it is."""
    await broker.publish_event(SAID, said(1), event_id="a")
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {"odd": 1}, event_id="b", reason="odd")
    lease = await broker.lease(SAID, "42")
    await lease.acquire()
    await lease.release()
    client = redis_server.client()
    assert "cmdstat_wait" not in client.info("commandstats")
    assert not client.exists("{said}:touch")


async def test_an_event_counts_when_a_replica_has_it(
    three: Copies, publisher: StreamBroker
) -> None:
    """No publish, refusal or lease is confirmed while both replicas stand still, however often."""
    primary, *replicas = three.nodes
    lease = await publisher.lease(SAID, "42")
    for node in replicas:
        node.freeze()
    before = waits(primary)
    work: list[asyncio.Task[Any]] = [
        asyncio.create_task(publisher.publish_event(SAID, said(1), event_id="a")),
        asyncio.create_task(publisher.refuse_event(SAID, {}, event_id="b", reason="odd")),
        asyncio.create_task(lease.acquire()),
    ]
    await eventually(lambda: waits(primary) >= before + 9, 60)
    assert texts(primary) == ["first", "a"]
    assert not any(task.done() for task in work)
    replicas[1].thaw()
    await asyncio.wait_for(work[0], 60)
    with pytest.raises(EventRefusedError):
        await asyncio.wait_for(work[1], 60)
    await asyncio.wait_for(work[2], 60)
    assert lease._line is not None
    assert not lease._line._kept  # a lease of before is nothing to take again
    assert texts(replicas[1]) == ["first", "a"]
    replicas[0].thaw()
    await lease.release()


async def test_without_the_write_a_repeated_wait_counts_nothing(
    three: Copies, publisher: StreamBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the touch is there for: the second call counts at once, though no replica has it."""
    nothing = (await publisher.connect()).register_script("#!lua flags=allow-oom\nreturn 1")
    monkeypatch.setattr(publisher.outlet.publisher.replicated, "_touch", nothing)
    for node in three.nodes[1:]:
        node.freeze()
    again = await asyncio.wait_for(publisher.publish_event(SAID, said(1), event_id="a"), 60)
    assert again.duplicate


async def test_without_publishing_again_it_is_lost(
    three: Copies, publisher: StreamBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept for: WAIT was answered by a replica that did not become the primary."""
    monkeypatch.setattr(replicated, "KEPT_BYTES", 0)
    _, behind, _ = three.nodes
    behind.client().replicaof("NO", "ONE")
    await publisher.publish_event(SAID, said(1), event_id="a")
    name_primary(three, behind)
    three.nodes[0].client().client_kill_filter(_type="normal", skipme=True)
    three.nodes[2].client().replicaof(*behind.where)
    await publisher.publish_event(SAID, said(2), event_id="b")
    assert texts(behind) == ["first", "b"]


@pytest.mark.parametrize("known", ["by the next publish", "by itself"])
async def test_what_was_confirmed_is_published_again(
    three: Copies, publisher: StreamBroker, known: str
) -> None:
    """The new primary lacks what the third server has acknowledged: it gets it, and first."""
    _, behind, _ = three.nodes
    behind.client().replicaof("NO", "ONE")
    for number, event_id in enumerate("abc"):
        await publisher.publish_event(SAID, said(number), event_id=event_id)
    with pytest.raises(EventRefusedError):
        await publisher.refuse_event(SAID, {"odd": 1}, event_id="d", reason="odd")
    assert texts(behind) == ["first"]
    name_primary(three, behind)
    for node in three.nodes:
        if node is not behind:
            node.client().replicaof(*behind.where)
    if known == "by the next publish":
        await publisher.publish_event(SAID, said(9), event_id="e")
    await eventually(lambda: "c" in texts(behind), 60)
    assert texts(behind)[:4] == ["first", "a", "b", "c"]
    await eventually(lambda: behind.client().xlen(SAID.dead_letters) == 1, 60)
    again = await publisher.publish_event(SAID, said(9), event_id="e")
    assert again.duplicate is (known == "by the next publish")


async def test_what_is_written_beside_a_stream_lasts_as_well(
    three: Copies, publisher: StreamBroker
) -> None:
    """A value that was set and one that was taken out: on the new primary too, in that order."""
    _, behind, third = three.nodes
    behind.client().replicaof("NO", "ONE")
    key = "{said}:beside"
    await publisher.write(SAID, "HSET", key, "1", "one", "2", "two")
    await publisher.run_script(SAID, "return redis.call('HSET', KEYS[1], '3', 'x')", [key], [])
    await publisher.write(SAID, "HDEL", key, "1")
    assert not behind.client().exists(key)
    name_primary(three, behind)
    third.client().replicaof(*behind.where)
    await eventually(lambda: behind.client().hgetall(key) == {b"2": b"two", b"3": b"x"}, 60)


async def test_an_update_is_parked_when_a_replica_has_it(three: Copies) -> None:
    """What is not on another server yet is not confirmed to Telegram."""
    await broker.connect(three.url, source="/tests")
    parking, update = Parking(42), {7: Parked({"update_id": 7}, 0.0)}
    try:
        for node in three.nodes[1:]:
            node.freeze()
        assert not await parking.park(update)
        for node in three.nodes[1:]:
            node.thaw()
        deadline = asyncio.get_running_loop().time() + 60
        while not await parking.park(update):
            assert asyncio.get_running_loop().time() < deadline
        await parking.finish(7)
    finally:
        await broker.close()
    assert not three.nodes[0].client().exists("{telegram_update}:parked:42")


async def test_what_is_old_is_forgotten_while_the_primary_is_known(
    three: Copies, publisher: StreamBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the clock alone: cut off from the Sentinels nobody knows what became of it."""
    monkeypatch.setattr(replicated, "KEPT_SECONDS", 0.5)
    line: Any = publisher.outlet.publisher.replicated
    await eventually(lambda: not line._kept and line._watching.done(), 60)
    assert line._bytes == 0
    for node in three.nodes[1:]:
        node.sentinel().execute_command("SENTINEL", "REMOVE", SERVICE)
    await publisher.publish_event(SAID, said(1), event_id="a")
    await asyncio.sleep(3)  # an absence can only be waited for
    assert len(line._kept) == 1


async def test_what_is_kept_is_bounded(
    publisher: StreamBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than that in a minute is published all the same, and told once."""
    monkeypatch.setattr(replicated, "KEPT_BYTES", 2_000)
    with capture_logs() as logged:
        for number in range(20):
            await publisher.publish_event(SAID, said(number))
    line: Any = publisher.outlet.publisher.replicated
    assert 0 < line._bytes <= 2_000
    assert line._bytes == sum(len(call.command) for _, call in line._kept)
    events = [line["event"] for line in logged]
    assert events.count("more is confirmed in a minute than is kept") == 1
