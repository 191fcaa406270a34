"""A server whose memory is full: what fits gets in, what does not is refused, nothing is both."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.streams import Delivery, EventRefusedError, Limits, Publication, StreamBroker
from shared.streams.errors import NO_ROOM
from shared.streams.publish import room
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.said import SAID, Said, said

LARGE = "x" * 25_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is given half a second; the promise is the same."""
    monkeypatch.setattr(room, "PATIENCE", 0.5)


@pytest.fixture(params=["redis", "valkey"])
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """What is refused without room, and what not, is each server's own decision."""
    with RedisServer(engine=request.param) as server:
        yield server


def leave(server: RedisServer, free: int) -> None:
    """Let the server use so many bytes more than it does, and no more."""
    client = server.client()
    memory = client.info("memory")
    used = memory["used_memory"] - memory["mem_not_counted_for_evict"]
    client.config_set("maxmemory", used + free)


def published(server: RedisServer) -> list[str]:
    """Return the ids of the events in the stream, in its order."""
    entries = server.client().xrange("said")
    return [json.loads(fields[b"__data__"])["id"] for _, fields in entries]


def letters(server: RedisServer) -> dict[str, dict[bytes, bytes]]:
    """Return the dead letters by their event's id."""
    entries = server.client().xrange(SAID.dead_letters)
    return {fields[b"event_id"].decode(): fields for _, fields in entries}


async def test_what_waits_in_vain_is_refused_for_good(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Its letter and mark are small and are written all the same; its id is never published."""
    redis_server.client().config_set("maxmemory", 1)
    with pytest.raises(EventRefusedError, match=NO_ROOM):
        await broker.publish_event(SAID, said(1, LARGE), event_id="a")
    assert letters(redis_server)["a"][b"__data__"] == b""
    redis_server.client().config_set("maxmemory", 0)
    with pytest.raises(EventRefusedError, match=NO_ROOM):
        await broker.publish_event(SAID, said(1, LARGE), event_id="a")
    assert published(redis_server) == []
    assert len(letters(redis_server)) == 1


async def test_what_can_be_no_event_is_refused_by_a_full_server_too(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """It waits no longer than an event, and the letter keeps the reason without the content."""
    redis_server.client().config_set("maxmemory", 1)
    with pytest.raises(EventRefusedError, match="odd; Redis was full") as refusal:
        await broker.refuse_event(SAID, {"a": LARGE}, event_id="a", reason="odd")
    assert letters(redis_server)["a"][b"__data__"] == b""
    assert not refusal.value.kept
    redis_server.client().config_set("maxmemory", 0)
    with pytest.raises(EventRefusedError, match="odd") as refusal:
        await broker.refuse_event(SAID, {"a": LARGE}, event_id="b", reason="odd")
    assert refusal.value.kept


async def test_what_was_published_is_not_refused_for_want_of_room(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """An event that Telegram repeats while the server is full stands where it stood."""
    first = await broker.publish_event(SAID, said(1), event_id="a")
    redis_server.client().config_set("maxmemory", 1)
    again = await broker.publish_event(SAID, said(1), event_id="a")
    assert (again.entry_id, again.duplicate) == (first.entry_id, True)
    assert letters(redis_server) == {}


async def test_what_fits_gets_in_and_the_rest_is_refused(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A batch that is larger than the room is split; the order stays, and nothing is in both."""
    await broker.publish_event(SAID, said(0), event_id="warm")
    leave(redis_server, 800_000)
    events = [(str(n), said(n, LARGE)) for n in range(100)]
    outcomes = await broker.publish_events(SAID, events)
    redis_server.client().config_set("maxmemory", 0)
    assert len(outcomes) == 100
    inside = [str(n) for n, outcome in enumerate(outcomes) if isinstance(outcome, Publication)]
    outside = {
        str(n) for n, outcome in enumerate(outcomes) if isinstance(outcome, EventRefusedError)
    }
    assert published(redis_server) == ["warm", *inside]
    assert letters(redis_server).keys() == outside
    assert len(inside) > 4
    assert outside


async def test_others_get_in_where_trimming_makes_room(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """One sender has filled the server; when all of that is finished with, the next gets in."""
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    leave(redis_server, 2_000_000)
    events = ((f"flood-{n}", said(n, LARGE)) for n in range(200))
    flood = await broker.publish_events(SAID, events)
    assert any(isinstance(outcome, EventRefusedError) for outcome in flood)
    with pytest.raises(EventRefusedError, match=NO_ROOM):
        await broker.publish_event(SAID, said(1, LARGE), event_id="too early")
    client.xreadgroup("g", "m", {"said": ">"}, noack=True)
    assert not (await broker.publish_event(SAID, said(2, LARGE), event_id="other")).duplicate
    assert published(redis_server)[-1] == "other"


async def test_the_probe_is_red_before_a_small_write_is_refused(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Health must not wait until a write of a few bytes fails: a batch of commands has many."""
    client = redis_server.client()
    client.setrange("ballast", 20_000_000, "x")  # beside it connections weigh nothing
    assert await broker.probe(SAID)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.97))
    client.set("small", "1")
    memory = await broker.memory()
    assert memory is not None
    assert memory.full
    assert not await broker.probe(SAID)


async def test_a_publisher_starts_and_holds_its_lease_while_the_server_is_full(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Whoever writes meanwhile has to be told, so somebody has to listen."""
    redis_server.client().config_set("maxmemory", 1)
    await asyncio.wait_for(broker.wait_until_writable(SAID), 10)
    lease = await broker.lease(SAID, "42")
    await asyncio.wait_for(lease.acquire(), 10)
    with pytest.raises(TimeoutError):  # longer than a lease that nobody renews
        await asyncio.wait_for(lease.lost(), 4)
    await lease.release()


async def test_a_full_server_is_read_and_emptied(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A subscriber that starts while it is full handles, acknowledges and buries: that ends it."""
    client: Any = redis_server.client()
    client.xgroup_create("said", "g", id="0", mkstream=True)
    await broker.publish_events(SAID, [(str(n), said(n)) for n in range(20)])
    client.config_set("maxmemory", 1)
    seen: set[int] = set()

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == 7:
            raise ValueError("no good")
        seen.add(event.number)

    member = StreamBroker()
    limits = Limits(block=0.05, deliveries=2, first_retry=0.01)
    member.subscribe_event(SAID, group="g", limits=limits)(handle)
    await member.connect(redis_server.url)
    await member.start_consumers()
    try:
        await eventually(lambda: client.xlen(SAID.dead_letters) == 1)
        await eventually(lambda: client.xpending("said", "g")["pending"] == 0)
        assert seen == {*range(20)} - {7}
    finally:
        await member.close()
