"""Consuming: every entry is handled, or stands in the dead letters; nothing stays in between."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import redis.exceptions

from shared.process import SetupError
from shared.streams import Delivery, Limits, StreamBroker, TryLaterError
from tests.servers import RedisServer
from tests.shared.members import FAST, Recorder, StartMember, pending, until
from tests.shared.said import SAID, Said, said

pytestmark = pytest.mark.usefixtures("way")


def test_limits_are_those_of_the_papers() -> None:
    """What docs/DELIVERY.md says of a consumer holds where nobody says otherwise."""
    papers = (Path(__file__).parents[2] / "docs/DELIVERY.md").read_text(encoding="utf-8")
    limits = Limits()
    assert f"claimed by another member after {limits.claim_after:g} s" in papers
    assert limits.deliveries == 8
    assert "goes to the dead letters after eight deliveries" in papers


async def test_a_new_group_starts_at_the_beginning(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """What was published before the first consumer came is handled too."""
    for number in range(5):
        await broker.publish_event(SAID, said(number))
    record = Recorder()
    await consume(record)
    await until(lambda: len(record.seen) == 5)
    assert record.numbers == [0, 1, 2, 3, 4]
    await until(lambda: pending(redis_server) == 0)


async def test_two_members_share_the_work(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Two members of one group handle each event once between them; another group sees all."""
    first, second, other = Recorder(), Recorder(), Recorder()

    async def slowly(event: Said, delivery: Delivery) -> None:
        await asyncio.sleep(0.01)
        await first(event, delivery)

    few = Limits(block=0.05, in_hand=4)
    await consume(slowly, limits=few)
    await consume(second, limits=few)
    await consume(other, group="other")
    await asyncio.gather(*(broker.publish_event(SAID, said(n)) for n in range(200)))
    await until(lambda: len(first.seen) + len(second.seen) == 200 and len(other.seen) == 200)
    assert sorted(first.numbers + second.numbers) == sorted(other.numbers) == [*range(200)]
    assert first.seen
    assert second.seen


async def test_a_failure_is_retried_and_counted(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """A handler that fails is called again with the next attempt's number, then acknowledged."""
    record = Recorder(ValueError("first"), ValueError("second"))
    await consume(record)
    await broker.publish_event(SAID, said(7))
    await until(lambda: bool(record.seen))
    assert record.seen == [(7, 3)]
    await until(lambda: pending(redis_server) == 0)
    assert redis_server.client().xlen(SAID.dead_letters) == 0


async def test_the_last_failure_moves_the_entry_to_the_dead_letters(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """After the last delivery the entry stands in the dead letters, once, with its reason."""
    record = Recorder(*(ValueError("no good") for _ in range(3)))
    await consume(record)
    published = await broker.publish_event(SAID, said(7), event_id="seven")
    await until(lambda: redis_server.client().xlen(SAID.dead_letters) == 1)
    await broker.publish_event(SAID, said(8))
    await until(lambda: pending(redis_server) == 0)
    ((_, letter),) = redis_server.client().xrange(SAID.dead_letters)
    assert letter[b"event_id"] == b"seven"
    assert letter[b"reason"] == b"ValueError: no good"
    assert letter[b"entry_id"].decode() == published.entry_id
    assert (letter[b"group"], letter[b"deliveries"]) == (b"g", b"3")
    await until(lambda: record.numbers == [8])


async def test_try_later_is_no_failure(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """A handler whose database is away is asked again for as long as it takes."""
    record = Recorder(*(TryLaterError("database is away") for _ in range(10)))
    await consume(record)
    await broker.publish_event(SAID, said(7))
    await until(lambda: record.seen == [(7, 1)])
    assert redis_server.client().xlen(SAID.dead_letters) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"other": "field"},
        {"__data__": "no json"},
        {"__data__": '{"specversion":"1.0","id":"x","source":"/","type":"said","data":"text"}'},
        {"__data__": '{"specversion":"1.0","id":"x","source":"/","type":"said","data":{"a":1}}'},
        {"__data__": b"\xff\xfe"},
    ],
    ids=["no field", "no JSON", "data is text", "data does not fit", "no UTF-8"],
)
async def test_poison_goes_to_the_dead_letters_at_once(
    redis_server: RedisServer, consume: StartMember, fields: dict[str, str]
) -> None:
    """What nobody can parse is moved without a try, with the bytes as they were."""
    record = Recorder()
    await consume(record)
    redis_server.client().xadd("said", fields)
    await until(lambda: redis_server.client().xlen(SAID.dead_letters) == 1)
    await until(lambda: pending(redis_server) == 0)
    ((_, letter),) = redis_server.client().xrange(SAID.dead_letters)
    assert letter[b"reason"].startswith(b"malformed: ")
    raw = fields.get("__data__", b"")
    assert letter[b"__data__"] == (raw.encode() if isinstance(raw, str) else raw)
    assert record.seen == []


async def test_a_dead_members_entries_are_taken_over(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Entries that a member read and left behind are handled by another one."""
    for number in range(3):
        await broker.publish_event(SAID, said(number))
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "dead", {"said": ">"})
    record = Recorder()
    await consume(record)
    await until(lambda: len(record.seen) == 3)
    assert sorted(record.seen) == [(0, 2), (1, 2), (2, 2)]
    await until(lambda: pending(redis_server) == 0)


async def test_a_backlog_does_not_hold_back_a_dead_members_entries(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Abandoned entries are handled while the reader's hands are full of new ones."""
    await broker.publish_event(SAID, said(0))
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "dead", {"said": ">"})
    busy = asyncio.Event()
    record = Recorder()

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number:
            await busy.wait()
        await record(event, delivery)

    for number in range(1, 10):
        await broker.publish_event(SAID, said(number))
    await consume(handle, limits=replace(FAST, in_hand=4, concurrency=8))
    await until(lambda: record.numbers == [0])
    busy.set()
    await until(lambda: sorted(record.numbers) == [*range(10)])


async def test_an_entry_that_kills_its_members_is_buried(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Deliveries count across deaths: an entry that nobody survives goes to the dead letters."""
    await broker.publish_event(SAID, said(1))
    client = redis_server.client()
    client.xgroup_create("said", "g", id="0")
    client.xreadgroup("g", "dead", {"said": ">"})
    (entry,) = client.xpending_range("said", "g", min="-", max="+", count=1)
    client.xclaim("said", "g", "dead", 0, [entry["message_id"]], retrycount=3, justid=True)
    record = Recorder()
    await consume(record)
    await until(lambda: client.xlen(SAID.dead_letters) == 1)
    assert record.seen == []


async def test_a_long_handler_is_not_taken_over(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """A handler that takes longer than the claim time keeps its entry."""
    first, second = Recorder(), Recorder()

    async def slowly(event: Said, delivery: Delivery) -> None:
        await asyncio.sleep(2.5)
        await first(event, delivery)

    await consume(slowly)
    await broker.publish_event(SAID, said(1))
    await until(lambda: pending(redis_server) == 1)
    await consume(second)
    await until(lambda: bool(first.seen))
    assert second.seen == []


async def test_a_vanished_group_is_made_again(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """NOGROUP is survived: the group is made at the start and nothing new is missed."""
    record = Recorder()
    group = await consume(record)
    await broker.publish_event(SAID, said(1))
    await until(lambda: record.numbers == [1])
    redis_server.client().xgroup_destroy("said", "g")
    await broker.publish_event(SAID, said(2))
    await until(lambda: 2 in record.numbers)
    assert group.consumers[0].running


async def test_a_crash_of_redis_is_survived(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Reading goes on when Redis is back, without a hot loop meanwhile."""
    record = Recorder()
    group = await consume(record)
    await broker.publish_event(SAID, said(1))
    await until(lambda: record.numbers == [1])
    redis_server.kill()
    await asyncio.sleep(0.5)
    redis_server.start()
    await broker.publish_event(SAID, said(2))
    await until(lambda: 2 in record.numbers)
    await until(lambda: pending(redis_server) == 0)
    assert group.consumers[0].running


async def test_a_replica_makes_no_hot_loop(redis_server: RedisServer, consume: StartMember) -> None:
    """READONLY backs off: a consumer of a read-only server asks a few times a second at most."""
    record = Recorder()
    await consume(record)
    client = redis_server.client()
    await until(lambda: client.exists("said") == 1)
    client.replicaof("127.0.0.1", "1")
    before = client.info("stats")["total_commands_processed"]
    await asyncio.sleep(2)
    asked = client.info("stats")["total_commands_processed"] - before
    client.replicaof("NO", "ONE")
    assert asked < 60


async def test_the_state_tells_lag_and_pending(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Readiness sees whether the consumer runs, what is unread and what is unfinished."""
    release = asyncio.Event()

    async def wait(event: Said, delivery: Delivery) -> None:
        await release.wait()

    one_at_a_time = Limits(block=0.05, in_hand=1)
    group = await consume(wait, limits=one_at_a_time)
    for number in range(3):
        await broker.publish_event(SAID, said(number))
    await until(lambda: pending(redis_server) == 1)
    state = await group.consumers[0].state()
    assert (state.running, state.lag, state.pending) == (True, 2, 1)
    assert state.oldest_pending_seconds is not None
    assert state.lag_seconds is not None
    assert 0 < state.lag_seconds < 60
    release.set()
    await until(lambda: pending(redis_server) == 0)
    read = await group.consumers[0].state()
    assert (read.lag, read.lag_seconds, read.oldest_pending_seconds) == (0, 0.0, None)


async def test_state_of_a_dead_redis_raises(
    redis_server: RedisServer, consume: StartMember
) -> None:
    """A state that Redis cannot tell is an error, not a green light."""
    group = await consume(Recorder())
    redis_server.kill()
    with pytest.raises((redis.exceptions.RedisError, OSError)):
        await group.consumers[0].state()


async def test_two_handlers_of_one_group_are_an_error_at_the_start(
    redis_server: RedisServer,
) -> None:
    """Each would get a part of the events; groups of their own get all of them."""
    broker = StreamBroker()
    for group in ("a", "b", "a"):
        broker.subscribe_event(SAID, group=group)(Recorder())
    await broker.connect(redis_server.url)
    with pytest.raises(SetupError, match="subscribe to said in the group a"):
        await broker.start_consumers()
    await broker.close()
