"""A consumer of a Redis with copies whose primary changes while it has entries in hand."""

import asyncio
import json

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.streams import Delivery, StreamBroker
from shared.streams.server.connection import connection_pool, options_of
from shared.streams.server.fenced import held_to_primary
from tests.conditions import eventually
from tests.copies import SERVICE, Copies
from tests.shared.members import FAST
from tests.shared.said import SAID, Said, said
from tests.shared.test_replicated import name_primary, three

pytestmark = pytest.mark.timeout(300)  # three Sentinels beside another suite
__all__ = ["three"]


def entry_of(number: int) -> bytes:
    """Return an event as it stands in a stream."""
    event = {"specversion": "1.0", "id": f"other-{number}", "source": "/others", "type": "said"}
    return json.dumps({**event, "data": said(number).model_dump(mode="json")}).encode()


async def test_an_id_of_the_primary_before_acknowledges_nothing(three: Copies) -> None:
    """Another event has that id on the new primary, in another member's hand: it is handled."""
    primary, other, third = three.nodes
    in_hand, go_on = asyncio.Event(), asyncio.Event()
    ids: list[str] = []
    handled: list[int] = []

    async def handle(event: Said, delivery: Delivery) -> None:
        ids.append(delivery.entry_id)
        in_hand.set()
        await go_on.wait()
        handled.append(event.number)

    broker = StreamBroker()
    broker.subscribe_event(SAID, group="g", limits=FAST)(handle)
    await broker.connect(three.url, source="/tests")
    await broker.start_consumers()
    other.client().replicaof("NO", "ONE")
    await broker.publish_event(SAID, said(1), event_id="a")
    await asyncio.wait_for(in_hand.wait(), 60)
    ahead = other.client()
    ahead.delete("said")
    ahead.xadd("said", {"__data__": entry_of(7)}, id=ids[0])
    ahead.xgroup_create("said", "g", id="0")
    ahead.xreadgroup("g", "somebody", {"said": ">"})
    name_primary(three, other)
    third.client().replicaof(*other.where)
    primary.client().client_kill_filter(_type="normal", skipme=True)
    go_on.set()
    await eventually(lambda: 7 in handled, 60)
    await eventually(lambda: ahead.xpending("said", "g")["pending"] == 0, 60)
    await eventually(lambda: handled.count(1) == 2, 60)  # it was published again, too
    await broker.close()


async def test_what_was_in_hand_is_taken_up_at_once(three: Copies) -> None:
    """Entries that both primaries have do not wait until somebody claims them."""
    limits = FAST.__class__(claim_after=3600.0)
    seen: list[int] = []
    go_on = asyncio.Event()

    async def handle(event: Said, delivery: Delivery) -> None:
        seen.append(event.number)
        await go_on.wait()

    broker = StreamBroker()
    broker.subscribe_event(SAID, group="g", limits=limits)(handle)
    await broker.connect(three.url, source="/tests")
    await broker.start_consumers()
    await broker.publish_event(SAID, said(1), event_id="a")
    await eventually(lambda: seen == [1], 60)
    primary, other, third = three.nodes
    await eventually(lambda: other.client().xpending("said", "g")["pending"] == 1, 60)
    other.client().replicaof("NO", "ONE")
    name_primary(three, other)
    third.client().replicaof(*other.where)
    primary.client().client_kill_filter(_type="normal", skipme=True)
    await eventually(lambda: seen == [1, 1], 60)
    go_on.set()
    await eventually(lambda: other.client().xpending("said", "g")["pending"] == 0, 60)
    await broker.close()
    assert SERVICE in three.url


async def test_idle_connections_to_the_primary_before_are_not_used_again(three: Copies) -> None:
    """A server without power closes none of them: each would cost a timeout, or what it is for."""
    client = Redis(connection_pool=connection_pool(options_of(three.url)))
    await asyncio.gather(*(client.ping() for _ in range(8)))
    primary, other, third = three.nodes
    other.client().replicaof("NO", "ONE")
    third.client().replicaof(*other.where)
    name_primary(three, other)
    primary.freeze()
    with pytest.raises(RedisTimeoutError):
        await client.ping()
    held = await held_to_primary(client)
    answers = await asyncio.gather(*(held.info("server") for _ in range(8)))
    assert {answer["tcp_port"] for answer in answers} == {other.port}
    await client.connection_pool.disconnect()
