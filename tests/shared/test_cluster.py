"""On a Redis Cluster a script may touch keys of one slot only: all keys of a stream share it."""

from collections.abc import Iterator

import pytest
import redis.exceptions

from shared.keys import beside, dead_letters_of, previous_dead_letters_of
from shared.streams import Delivery, EventRefusedError, StreamBroker
from shared.streams.consume.group import Group
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.tidying import Tidier
from tests.conditions import eventually
from tests.servers import RedisServer, free_port
from tests.shared.members import FAST
from tests.shared.said import SAID, Said, said


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A cluster of one node, which has every slot."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with RedisServer(*options) as server:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            pass
        yield server


@pytest.fixture
async def member(broker: StreamBroker) -> Group:
    """A member of a group that reads nothing by itself."""
    return Group(await broker.connect(), SAID.name, "g", "m")


def test_the_server_refuses_two_slots(redis_server: RedisServer) -> None:
    """What these tests stand on: the key of before would be refused here."""
    client = redis_server.client()
    script = "return redis.call('EXISTS', KEYS[1])"
    assert client.eval(script, 2, SAID.name, dead_letters_of(SAID.name)) == 0
    with pytest.raises(redis.exceptions.RedisError, match="same slot"):
        client.eval(script, 2, SAID.name, previous_dead_letters_of(SAID.name))


async def test_every_key_of_a_stream_is_in_its_slot(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Publish, refuse, lease and probe leave no key in another slot."""
    await broker.publish_event(SAID, said(1), event_id="a")
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {"odd": 1}, event_id="b", reason="odd")
    lease = await broker.lease(SAID, "42")
    await lease.acquire()
    assert await broker.probe(SAID)
    client = redis_server.client()
    keys = set(client.scan_iter())
    await lease.release()
    assert {
        SAID.name.encode(),
        SAID.dead_letters.encode(),
        beside(SAID.name, "id:a").encode(),
    } < keys
    assert len({client.cluster("KEYSLOT", key) for key in keys}) == 1


async def test_a_letter_is_buried_seen_and_replayed(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """What a handler could not do comes back to it, with the tool that an operator uses."""
    seen: list[int] = []
    broken = True

    async def handle(event: Said, delivery: Delivery) -> None:
        if broken:
            raise ValueError("no good")
        seen.append(event.number)

    broker.subscribe_event(SAID, group="g", limits=FAST)(handle)
    await broker.start_consumers()
    await broker.publish_event(SAID, said(7), event_id="seven")
    client = redis_server.client()
    await eventually(lambda: client.xlen(SAID.dead_letters) == 1)
    broken = False
    graveyard = Graveyard(client, {SAID.name: SAID})
    assert graveyard.adopt(SAID.name) == 0
    (letter,) = graveyard.letters(SAID.name)
    assert graveyard.replay(letter)
    await eventually(lambda: seen == [7])
    assert client.xlen(SAID.name) == 1


async def test_finished_entries_are_trimmed(
    broker: StreamBroker, redis_server: RedisServer, member: Group
) -> None:
    """Trimming is a script as well."""
    await member.create()
    await broker.publish_event(SAID, said(1))
    await broker.publish_event(SAID, said(2))
    await member.acknowledge([entry.id for entry in await member.read(10, 0.1)])
    trimmed, _ = await Tidier(await broker.connect()).tidy("said", retention=-60)
    assert trimmed >= 1
