"""Publishing: each event id once, whatever is lost on the way."""

import asyncio
import json

import pytest
from faststream.redis import RedisBroker, StreamSub

from shared.streams import EventRefusedError, NotConnectedError, Publication, StreamBroker, decode
from shared.streams.event.envelope import MAX_ENTRY_BYTES, encode
from shared.streams.event.format import CloudEventsFormat
from tests.servers import RedisServer
from tests.shared.said import SAID, Said, said


def entries(server: RedisServer, stream: str = "said") -> list[dict[bytes, bytes]]:
    """Return the fields of every entry, as a plain client reads them."""
    return [fields for _, fields in server.client().xrange(stream)]


async def test_an_entry_is_a_cloud_event_that_any_client_reads(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """The one field holds a CloudEvents 1.0 object whose data is an object, text intact."""
    publication = await broker.publish_event(SAID, said(1), event_id="1:2")
    (fields,) = entries(redis_server)
    envelope = json.loads(fields[b"__data__"])
    assert envelope.pop("time").endswith("Z")
    assert envelope == {
        "specversion": "1.0",
        "id": "1:2",
        "source": "/tests",
        "type": "said",
        "datacontenttype": "application/json",
        "data": {"text": "привет 🚀 שלום", "number": 1, "at": "2026-01-31T12:00:00Z"},
    }
    assert "привет 🚀".encode() in fields[b"__data__"]
    assert redis_server.client().xrange("said")[0][0].decode() == publication.entry_id
    assert decode(SAID, fields) == ("1:2", said(1))


async def test_an_event_goes_to_a_stream_and_not_to_a_channel(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """XREAD from the start finds the event, long after it was published."""
    await broker.publish_event(SAID, said(1))
    client = redis_server.client()
    assert client.type("said") == b"stream"
    ((name, entries),) = client.xread({"said": "0"})
    assert (name, len(entries)) == (b"said", 1)


async def test_one_event_id_is_one_entry(broker: StreamBroker, redis_server: RedisServer) -> None:
    """Publishing again under the same id appends nothing and tells where the event stands."""
    first = await broker.publish_event(SAID, said(1), event_id="same")
    again = await broker.publish_event(SAID, said(1), event_id="same")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.entry_id == again.entry_id
    assert len(entries(redis_server)) == 1


async def test_an_event_without_an_id_is_new_each_time(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Two publishes without an id are two events."""
    ids = {(await broker.publish_event(SAID, said(1))).event_id for _ in range(2)}
    assert len(ids) == len(entries(redis_server)) == 2


async def test_concurrent_publishes_keep_their_order_in_one_round_trip(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A batch costs one script call, and stands in the stream in the order of the calls."""
    await broker.publish_event(SAID, said(0), event_id="warm")
    client = redis_server.client()
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    await asyncio.gather(*(broker.publish_event(SAID, said(n)) for n in range(1, 100)))
    after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before == 1
    assert [decode(SAID, fields)[1].number for fields in entries(redis_server)] == [*range(100)]


async def test_more_publishes_than_connections_wait_instead_of_failing(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A thousand publishes at once all succeed; redis-py's plain pool raises at a hundred."""
    await asyncio.gather(*(broker.publish_event(SAID, said(n)) for n in range(1000)))
    assert len(entries(redis_server)) == 1000


async def test_a_publish_survives_script_flush(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """The script is loaded again where the server has forgotten it, and ids are remembered."""
    await broker.publish_event(SAID, said(1), event_id="a")
    redis_server.client().script_flush()
    assert (await broker.publish_event(SAID, said(1), event_id="a")).duplicate
    assert not (await broker.publish_event(SAID, said(2), event_id="b")).duplicate


async def test_a_publish_waits_for_redis_and_ids_survive_its_crash(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A publish begun while Redis is dead completes when it is back; nothing is doubled."""
    await broker.publish_event(SAID, said(1), event_id="a")
    redis_server.kill()
    publishing = asyncio.gather(
        broker.publish_event(SAID, said(1), event_id="a"),
        broker.publish_event(SAID, said(2), event_id="b"),
    )
    done, _ = await asyncio.wait({publishing}, timeout=0.5)
    assert not done
    redis_server.start()
    repeated, new = await publishing
    assert (repeated.duplicate, new.duplicate) == (True, False)
    assert len(entries(redis_server)) == 2


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (said(1, "x" * MAX_ENTRY_BYTES), "too large"),
        (Said.model_construct(text="\ud800", number=1, at=said(1).at), "not representable"),
    ],
    ids=["too large", "lone surrogate"],
)
async def test_what_can_never_be_published_is_refused_for_good(
    broker: StreamBroker, redis_server: RedisServer, event: Said, reason: str
) -> None:
    """It stands once in the dead letters with its reason, and its id is never published."""
    for _ in range(2):
        with pytest.raises(EventRefusedError, match=reason):
            await broker.publish_event(SAID, event, event_id="bad")
    with pytest.raises(EventRefusedError, match=reason):
        await broker.publish_event(SAID, said(1), event_id="bad")
    assert entries(redis_server) == []
    (letter,) = entries(redis_server, SAID.dead_letters)
    assert letter[b"event_id"] == b"bad"
    assert reason.encode() in letter[b"reason"]


async def test_what_was_published_is_not_refused(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A refusal that comes after the publish finds the event in the stream and leaves it."""
    published = await broker.publish_event(SAID, said(1), event_id="a")
    late = await broker.refuse_event(SAID, {"odd": 1}, event_id="a", reason="came late")
    assert (late.entry_id, late.duplicate) == (published.entry_id, True)
    assert entries(redis_server, SAID.dead_letters) == []


async def test_publishing_through_faststream_is_idempotent_too(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """The broker's own `publish` and its publishers append one correlation id once."""
    publisher = broker.publisher(stream="said")
    for _ in range(2):
        await broker.publish(said(1), stream="said", correlation_id="one")
        await publisher.publish(said(2), correlation_id="two")
    decoded = [decode(SAID, fields) for fields in entries(redis_server)]
    assert decoded == [("one", said(1)), ("two", said(2))]


async def test_a_faststream_subscriber_reads_the_event(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A stock FastStream subscriber with our message format gets the typed event."""
    await broker.publish_event(SAID, said(1), event_id="a")
    got: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
    reader = RedisBroker(redis_server.url, message_format=CloudEventsFormat)

    @reader.subscriber(stream=StreamSub("said", last_id="0"))
    async def read(event: Said) -> None:
        got.set_result(event)

    async with reader:
        await reader.start()
        assert await asyncio.wait_for(got, 10) == said(1)


async def test_a_broker_that_is_not_connected_says_so() -> None:
    """Publishing before connect is an error that names the remedy, not a traceback of a library."""
    with pytest.raises(NotConnectedError, match="call connect"):
        await StreamBroker().publish_event(SAID, said(1))


async def test_a_full_server_is_waited_for(broker: StreamBroker, redis_server: RedisServer) -> None:
    """Out of memory is an outage like any other: the event is held, then published once."""
    client = redis_server.client()
    client.config_set("maxmemory", "1")
    assert not await broker.probe(SAID)
    publishing = asyncio.create_task(broker.publish_event(SAID, said(1), event_id="a"))
    assert not (await asyncio.wait({publishing}, timeout=0.3))[0]
    client.config_set("maxmemory", "0")
    assert not (await publishing).duplicate
    assert len(entries(redis_server)) == 1


async def test_a_frozen_server_fails_the_write_probe(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """The probe has a deadline: a server that accepts and never answers is not writable."""
    assert await broker.probe(SAID)
    redis_server.freeze()
    try:
        assert not await asyncio.wait_for(broker.probe(SAID), 5)
    finally:
        redis_server.thaw()


async def test_many_events_at_once_keep_their_order_and_each_is_there_once(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A bulk publish appends in the given order and passes over what had been published."""
    first = await broker.publish_event(SAID, said(0), event_id="0")
    client = redis_server.client()
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    outcomes = await broker.publish_events(SAID, ((str(n), said(n)) for n in range(1200)))
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] - before == 3
    assert [decode(SAID, fields)[1].number for fields in entries(redis_server)] == [*range(1200)]
    assert outcomes[0] == Publication("0", first.entry_id, duplicate=True)
    assert [o.event_id for o in outcomes] == [str(n) for n in range(1200)]
    assert not any(o.duplicate for o in outcomes[1:] if isinstance(o, Publication))
    again = await broker.publish_events(SAID, ((str(n), said(n)) for n in range(1200)))
    assert all(o.duplicate for o in again if isinstance(o, Publication))
    assert len(entries(redis_server)) == 1200


async def test_what_is_refused_holds_back_nothing_else(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """In a bulk publish the outcome of a bad event is its refusal, in its place."""
    events = [
        said(0),
        said(1, "x" * MAX_ENTRY_BYTES),
        Said.model_construct(text="\ud800", number=2, at=said(2).at),
        said(3),
    ]
    outcomes = await broker.publish_events(SAID, ((None, event) for event in events))
    assert [isinstance(outcome, EventRefusedError) for outcome in outcomes] == [
        False,
        True,
        True,
        False,
    ]
    assert [decode(SAID, fields)[1].number for fields in entries(redis_server)] == [0, 3]
    assert len(entries(redis_server, SAID.dead_letters)) == 2


async def test_a_bulk_publish_waits_for_redis(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Redis dies in the middle of it; every event is in the stream once in the end, in order."""
    publishing = asyncio.create_task(
        broker.publish_events(SAID, ((str(n), said(n)) for n in range(5000)))
    )
    client = redis_server.client()
    while not await asyncio.to_thread(client.xlen, "said"):
        await asyncio.sleep(0)
    redis_server.kill()
    assert not (await asyncio.wait({publishing}, timeout=0.3))[0]
    redis_server.start()
    assert len(await publishing) == 5000
    assert [decode(SAID, fields)[1].number for fields in entries(redis_server)] == [*range(5000)]


async def test_a_connection_that_idled_away_is_no_outage(
    broker: StreamBroker, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The server closes idle connections; the next publish takes a new one and says nothing."""
    await broker.publish_event(SAID, said(1), event_id="a")
    redis_server.client().client_kill_filter(_type="normal", skipme=True)
    assert not (await broker.publish_event(SAID, said(2), event_id="b")).duplicate
    assert "redis unavailable" not in caplog.text


@pytest.mark.parametrize("together", [False, True], ids=["one", "many"])
async def test_an_entry_may_be_as_large_as_allowed(
    broker: StreamBroker, redis_server: RedisServer, *, together: bool
) -> None:
    """To the byte; with one more it is refused, alone and among many."""
    empty = encode(said(1, ""), event_id="a", kind=SAID.name, source="/tests")
    room = MAX_ENTRY_BYTES - len(empty)
    for event_id, size in (("a", room), ("b", room + 1)):
        event = said(1, "x" * size)
        outcome: object
        if together:
            (outcome,) = await broker.publish_events(SAID, [(event_id, event)])
        else:
            try:
                outcome = await broker.publish_event(SAID, event, event_id=event_id)
            except EventRefusedError as refusal:
                outcome = refusal
        assert isinstance(outcome, Publication if event_id == "a" else EventRefusedError)
    ((_, fields),) = redis_server.client().xrange("said")
    assert len(fields[b"__data__"]) == MAX_ENTRY_BYTES
