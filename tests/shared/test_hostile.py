"""What somebody with a redis-cli can do to a running system, and what the promise says then."""

import asyncio
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from shared.keys import buried_of, dead_letters_of, marker, replayed_of
from shared.streams import Limits, StreamBroker
from shared.streams.dead_letters.graveyard import Graveyard
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.said import SAID, said

FAST = Limits(block=0.05, claim_after=0.6, first_retry=0.01, last_retry=0.05, deliveries=3)


async def publish_while(
    broker: StreamBroker, attack: Callable[[int], Any], pause: float = 0.01, count: int = 60
) -> None:
    """Publish events one after the other, each some time after something was done to the server."""
    for number in range(count):
        await asyncio.to_thread(attack, number)
        await broker.publish_event(SAID, said(number), event_id=f"id-{number}")
        await asyncio.sleep(pause)


async def test_connections_that_are_killed_again_and_again_lose_nothing(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """CLIENT KILL on every connection before each publish: each event is there and handled once."""
    client = redis_server.client()
    await publish_while(broker, lambda _: client.client_kill_filter(_type="normal", skipme=True))
    await eventually(lambda: sorted(set(handled)) == [*range(60)])
    assert client.xlen("said") == 60


async def test_scripts_that_are_forgotten_again_and_again_lose_nothing(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """SCRIPT FLUSH before each publish."""
    client = redis_server.client()
    await publish_while(broker, lambda _: client.script_flush())
    await eventually(lambda: sorted(handled) == [*range(60)])
    assert client.xlen("said") == 60


async def test_memory_that_comes_and_goes_loses_nothing(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """CONFIG SET maxmemory in flight: what found no room is published when there is some."""
    client = redis_server.client()
    publishing = asyncio.create_task(publish_while(broker, lambda _: None, count=40))
    while not publishing.done():
        for limit in (1, 0):
            await asyncio.to_thread(client.config_set, "maxmemory", limit)
            await asyncio.sleep(0.05)
    await publishing
    await eventually(lambda: sorted(handled) == [*range(40)])


async def test_a_flushed_server_is_worked_with_again(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """FLUSHALL takes what was there; what is published afterwards is handled, without a restart."""
    await broker.publish_event(SAID, said(1), event_id="a")
    await eventually(lambda: handled == [1])
    redis_server.client().flushall()
    await broker.publish_event(SAID, said(2), event_id="b")
    await eventually(lambda: handled == [1, 2])


async def test_a_group_that_is_deleted_between_two_events_misses_none(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """It is made again at the start of the stream, so all is handed over again."""
    client = redis_server.client()

    def destroy(_: int) -> None:
        if client.exists("said"):
            client.xgroup_destroy("said", "g")

    await publish_while(broker, destroy, count=20)
    await eventually(lambda: set(handled) == {*range(20)})


@pytest.mark.parametrize(
    "key",
    [
        "said",
        marker("said", "x"),
        dead_letters_of("said"),
        replayed_of("said"),
        buried_of("said"),
    ],
)
async def test_a_key_of_another_type_holds_up_nothing_for_ever(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int], key: str
) -> None:
    """Somebody has put a list where we keep something else: when it is gone, all goes on.

    What could be written meanwhile was written once; nothing was taken for published that was not.
    """
    client = redis_server.client()
    client.delete(key)
    client.rpush(key, "theirs")
    publishing = asyncio.create_task(
        broker.publish_events(SAID, [("x", said(1)), ("y", said(-1)), ("z", said(3))])
    )
    await asyncio.sleep(1)
    assert client.lrange(key, 0, -1) == [b"theirs"]
    client.delete(key)
    async with asyncio.timeout(20):
        outcomes = await publishing
    entries = [id_.decode() for id_, _ in client.xrange("said")]
    assert [outcome.entry_id for outcome in outcomes if hasattr(outcome, "entry_id")] == entries
    await eventually(lambda: sorted(handled) == [1, 3])
    await eventually(lambda: client.xlen(dead_letters_of("said")) == 1)


async def test_one_name_for_two_members_loses_nothing(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """Somebody reads under the name of a running member and never acknowledges."""
    client = redis_server.client()
    await broker.publish_event(SAID, said(0), event_id="0")
    await eventually(lambda: handled == [0])
    (member,) = client.xinfo_consumers("said", "g")
    stolen: list[Any] = []

    def steal(_: int) -> None:
        try:
            stolen.extend(client.xreadgroup("g", member["name"], {"said": ">"}, count=1))
        except RedisError:
            return

    for number in range(1, 41):
        await broker.publish_event(SAID, said(number), event_id=f"id-{number}")
        await asyncio.to_thread(steal, number)
    await eventually(lambda: sorted(set(handled)) == [*range(41)])


@pytest.mark.parametrize(
    "key", ["said", marker("said", "x"), replayed_of("said"), buried_of("said")]
)
async def test_a_replay_that_meets_a_key_of_another_type_changes_nothing(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int], key: str
) -> None:
    """The letter stays, and can be replayed when the key is gone."""
    client = redis_server.client()
    await broker.publish_event(SAID, said(-1), event_id="x")
    await eventually(lambda: client.xlen(dead_letters_of("said")) == 1)
    client.delete(key)
    client.rpush(key, "theirs")
    graveyard = Graveyard(client, {SAID.name: SAID})
    (letter,) = graveyard.letters(SAID.name)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        graveyard.replay(letter)
    assert list(map(attrgetter("id"), graveyard.letters(SAID.name))) == [letter.id]
    client.delete(key)
    assert graveyard.replay(letter) is not None
