"""A replay puts an event back once, for all groups, and its effect happens once, however late."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from time import time

import pytest
from redis.asyncio import Redis

from shared.keys import buried_of, marker, replayed_of
from shared.streams import Delivery, EventRefusedError, StreamBroker
from shared.streams.consume.group import Group
from shared.streams.dead_letters.graveyard import Graveyard, NotReplayableError
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import encode
from shared.streams.tidying import Tidier
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.members import FAST
from tests.shared.said import SAID, Said, said

DAY = timedelta(days=1)
Groups = tuple[Group, Group]


@pytest.fixture
def graveyard(redis_server: RedisServer) -> Graveyard:
    """The dead letters as the tool has them."""
    return Graveyard(redis_server.client(), {SAID.name: SAID})


@pytest.fixture
async def groups(redis_server: RedisServer) -> AsyncIterator[Groups]:
    """A member of each of two groups, which do what they are told to."""
    client = Redis.from_url(redis_server.url)
    members = Group(client, SAID.name, "a", "m"), Group(client, SAID.name, "b", "m")
    for member in members:
        await member.create()
    yield members
    await client.aclose()


async def bury(group: Group, event_id: str = "seven") -> None:
    """Read an entry and bury it."""
    (entry,) = await group.read(1, 0.1)
    letter = DeadLetter(
        event_id=event_id,
        source="/tests",
        payload=entry.fields[b"__data__"],
        reason="no good",
        group=group.name,
        entry_id=entry.id,
    )
    await group.bury(entry.id, letter, is_event=True)


async def test_two_groups_bury_and_all_is_replayed(
    broker: StreamBroker, redis_server: RedisServer, graveyard: Graveyard
) -> None:
    """The stream has the event once, no letter is left, and each group handles it once."""
    client, handled, broken = redis_server.client(), list[str](), True

    def handler(group: str) -> None:
        @broker.subscribe_event(SAID, group=group, limits=FAST)
        async def handle(event: Said, delivery: Delivery) -> None:
            if broken:
                raise ValueError("no good")
            handled.append(group)

    for group in ("a", "b"):
        handler(group)
    await broker.start_consumers()
    await broker.publish_event(SAID, said(7), event_id="seven")
    await eventually(lambda: client.xlen(SAID.dead_letters) == 2)
    broken = False
    first, second = graveyard.letters(SAID.name)
    assert graveyard.replay(first)
    assert graveyard.replay(second) is None
    await eventually(lambda: sorted(handled) == ["a", "b"])
    assert client.xlen(SAID.name) == 1
    assert client.xlen(SAID.dead_letters) == 0
    assert (await broker.publish_event(SAID, said(7), event_id="seven")).duplicate


async def test_a_group_that_buries_after_a_replay_writes_no_letter(
    broker: StreamBroker,
    redis_server: RedisServer,
    graveyard: Graveyard,
    groups: Groups,
) -> None:
    """It had the old entry in hand; the new one is for it too, and stands in the stream once."""
    client = redis_server.client()
    await broker.publish_event(SAID, said(7), event_id="seven")
    group, other = groups
    (late,) = await other.read(1, 0.1)
    await bury(group)
    (letter,) = graveyard.letters(SAID.name)
    new = graveyard.replay(letter)
    late_letter = DeadLetter("seven", late.fields[b"__data__"], "no good", "/tests", "b", late.id)
    assert not await other.bury(late.id, late_letter, is_event=True)
    assert client.xlen(SAID.dead_letters) == 0
    assert client.xpending(SAID.name, "b")["pending"] == 0
    assert [entry.id for entry in await other.read(10, 0.1)] == [new]


async def test_a_letter_whose_event_is_elsewhere_stays(
    broker: StreamBroker,
    redis_server: RedisServer,
    graveyard: Graveyard,
    groups: Groups,
) -> None:
    """The marker names another entry of the event: putting it back would double it."""
    await broker.publish_event(SAID, said(7), event_id="seven")
    await bury(groups[0])
    (letter,) = graveyard.letters(SAID.name)
    client = redis_server.client()
    client.set(marker(SAID.name, "seven"), "9-9\t/tests")
    with pytest.raises(NotReplayableError, match="9-9"):
        graveyard.replay(letter)
    assert client.xlen(SAID.name) == client.xlen(SAID.dead_letters) == 1
    client.delete(marker(SAID.name, "seven"))  # as three days do
    assert graveyard.replay(letter)
    assert client.xlen(SAID.name) == 1


async def test_a_replay_of_one_source_leaves_the_other_alone(
    broker: StreamBroker, redis_server: RedisServer, graveyard: Graveyard
) -> None:
    """Both have used the id; the marker tells them apart before and after."""
    content = json.loads(encode(said(1), event_id="same", kind=SAID.name, source="/tests"))
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, content, event_id="same", reason="mistake")
    broker.outlet.source = "/elsewhere"
    assert not (await broker.publish_event(SAID, said(2), event_id="same")).duplicate
    (letter,) = graveyard.letters(SAID.name)
    assert graveyard.replay(letter)
    assert (await broker.publish_event(SAID, said(2), event_id="same")).duplicate
    broker.outlet.source = "/tests"
    assert (await broker.publish_event(SAID, said(1), event_id="same")).duplicate
    assert redis_server.client().xlen(SAID.name) == 2


async def test_what_was_replayed_counts_from_its_first_entry_on(
    broker: StreamBroker,
    redis_server: RedisServer,
    graveyard: Graveyard,
    groups: Groups,
) -> None:
    """Buried, replayed, buried and replayed again, after weeks: who handled it then remembers."""
    client = redis_server.client()
    first = datetime.now(UTC) - 30 * DAY
    payload = encode(said(7), event_id="seven", kind=SAID.name, source="/tests")
    client.xadd(SAID.name, {"__data__": payload}, id=f"{int(first.timestamp() * 1000)}-0")
    assert await broker.oldest(SAID) == pytest.approx(first, abs=timedelta(milliseconds=1))
    for _ in range(2):
        await bury(groups[0])
        client.xtrim(SAID.name, maxlen=0)
        assert await broker.oldest(SAID) == pytest.approx(first, abs=timedelta(milliseconds=1))
        (letter,) = graveyard.letters(SAID.name)
        assert graveyard.replay(letter)
        assert await broker.oldest(SAID) == pytest.approx(first, abs=timedelta(milliseconds=1))
    ((entry, _),) = client.xrange(SAID.name)
    assert client.zrange(replayed_of(SAID.name), 0, -1) == [entry]
    assert client.zcard(buried_of(SAID.name)) == 0


async def test_trimming_forgets_since_when(
    broker: StreamBroker, redis_server: RedisServer, groups: Groups
) -> None:
    """What no group can be given any more needs no memory; an unfinished entry does."""
    client = redis_server.client()
    published = [await broker.publish_event(SAID, said(n)) for n in range(2)]
    client.zadd(replayed_of(SAID.name), {p.entry_id: 1 for p in published})
    client.zadd(buried_of(SAID.name), {"1-1": 1})
    for group in groups:
        await group.acknowledge([entry.id for entry in await group.read(1, 0.1)])
        assert await group.read(1, 0.1)
    await Tidier(await broker.connect()).tidy(SAID.name, -1)
    assert client.zrange(replayed_of(SAID.name), 0, -1) == [published[1].entry_id.encode()]
    assert client.zcard(buried_of(SAID.name)) == 0


def test_a_letter_that_tells_little_is_as_old_as_its_id(
    graveyard: Graveyard, redis_server: RedisServer
) -> None:
    """Its id has the time that it lacks; a count that is none is 0; half an id is the first."""
    client = redis_server.client()
    now = time()
    moment = int(now - 1000) * 1000
    for number in (0, 1):
        client.xadd(SAID.dead_letters, {"deliveries": "many"}, id=f"{moment}-{number}")
    letter = graveyard.get(SAID.name, str(moment))
    assert letter is not None
    assert letter.id == f"{moment}-0"
    assert letter.letter.deliveries == 0
    assert 0 <= letter.age - (now - moment / 1000) < 600
