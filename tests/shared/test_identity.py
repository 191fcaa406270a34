"""CloudEvents' identity is source and id together, and an envelope is read for what it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from faststream.redis import RedisBroker, StreamSub

from shared.keys import marker
from shared.streams import Delivery, EventRefusedError, MalformedError, StreamBroker, decode
from shared.streams.event.envelope import receive
from shared.streams.event.format import CloudEventsFormat
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.members import FAST
from tests.shared.said import SAID, Said, said


@pytest.fixture
async def elsewhere(redis_server: RedisServer) -> AsyncIterator[StreamBroker]:
    """A broker of another source."""
    broker = StreamBroker()
    await broker.connect(redis_server.url, source="/elsewhere")
    yield broker
    await broker.close()


def envelope(**attributes: Any) -> bytes:
    """Return a valid entry's field, apart from what is said otherwise; None leaves one out."""
    content = {
        "specversion": "1.0",
        "id": "x",
        "source": "/there",
        "type": "said",
        "data": said(1).model_dump(mode="json"),
        **attributes,
    }
    return json.dumps({key: value for key, value in content.items() if value is not None}).encode()


async def test_an_id_of_another_source_is_another_event(
    broker: StreamBroker, elsewhere: StreamBroker, redis_server: RedisServer
) -> None:
    """Both are published, each once, however often and in whichever order."""
    for number, publisher in enumerate((broker, elsewhere, broker, elsewhere)):
        outcome = await publisher.publish_event(SAID, said(number), event_id="same")
        assert outcome.duplicate == (number > 1)
    entries = redis_server.client().xrange(SAID.name)
    received = [receive(SAID, fields) for _, fields in entries]
    assert [(delivery.source, delivery.event.number) for delivery in received] == [
        ("/tests", 0),
        ("/elsewhere", 1),
    ]


async def test_a_refusal_is_of_one_source(
    broker: StreamBroker, elsewhere: StreamBroker, redis_server: RedisServer
) -> None:
    """What one source may never publish, another one may, and the reason may be any text."""
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {}, event_id="same", reason="of\tno\nuse")
    assert not (await elsewhere.publish_event(SAID, said(1), event_id="same")).duplicate
    with pytest.raises(EventRefusedError, match="of no use"):
        await broker.publish_event(SAID, said(1), event_id="same")
    late = await elsewhere.refuse_event(SAID, {}, event_id="same", reason="too late")
    assert late.duplicate
    assert redis_server.client().xlen(SAID.name) == 1


async def test_a_marker_of_an_earlier_release_is_recognised(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """An update that was published before the upgrade and is repeated after it is no double."""
    client = redis_server.client()
    client.set(marker(SAID.name, "published"), "1-0", px=60_000)
    client.set(marker(SAID.name, "refused"), "refused:too large", px=60_000)
    published = await broker.publish_event(SAID, said(1), event_id="published")
    assert (published.entry_id, published.duplicate) == ("1-0", True)
    with pytest.raises(EventRefusedError, match="too large"):
        await broker.publish_event(SAID, said(1), event_id="refused")
    assert client.xlen(SAID.name) == 0


async def test_an_earlier_release_recognises_a_marker(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """After a rollback it asks for the same key, and for what that begins with."""
    client = redis_server.client()
    published = await broker.publish_event(SAID, said(1), event_id="a")
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {}, event_id="b", reason="bad")
    assert client.get("{said}:id:a").decode().startswith(published.entry_id)
    assert client.get("{said}:id:b").startswith(b"refused:bad")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"type": "other"}, "type"),
        ({"source": ""}, "source"),
        ({"source": "/a\tb"}, "source"),
        ({"data": None, "data_base64": "AAAA"}, "data"),
        ({"data": "text"}, "data"),
        ({"data": {"text": "fits not"}}, "number"),
    ],
)
def test_another_kind_of_envelope_is_no_event(attributes: dict[str, Any], reason: str) -> None:
    """It is refused with the reason, and with the id that it has."""
    with pytest.raises(MalformedError, match=reason) as caught:
        decode(SAID, {b"__data__": envelope(**attributes)})
    assert caught.value.event_id == "x"
    assert "fits not" not in str(caught.value)


def test_attributes_of_others_are_no_matter() -> None:
    """An extension or an optional attribute changes nothing."""
    raw = envelope(traceparent="00-1", subject="s", time="2026-01-31T12:00:00Z", dataschema="/d")
    assert decode(SAID, {b"__data__": raw, b"more": b"fields"}) == ("x", said(1))


async def test_a_letter_keeps_identity_and_fields(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """An entry without our field, or with a broken envelope, is whole in the dead letters."""
    client = redis_server.client()
    client.xadd(SAID.name, {"one": "1", b"\xff": b"\x00\xfe", "reason": "theirs"})
    client.xadd(SAID.name, {"__data__": envelope(data=None, data_base64="AAAA"), "x": "y"})
    broker.subscribe_event(SAID, group="g", limits=FAST)(_never)
    await broker.start_consumers()
    await eventually(lambda: client.xlen(SAID.dead_letters) == 2)
    (_, bare), (_, broken) = client.xrange(SAID.dead_letters)
    assert bare[b"fields"] == b'{"one": "1", "\xff": "\\u0000\xfe", "reason": "theirs"}'
    assert (broken[b"event_id"], broken[b"source"]) == (b"x", b"/there")
    assert broken[b"fields"] == b'{"x": "y"}'
    assert broken[b"__data__"] == envelope(data=None, data_base64="AAAA")


async def _never(event: Said, delivery: Delivery) -> None:
    raise AssertionError(event, delivery)


async def test_a_handler_is_told_the_source(
    broker: StreamBroker, elsewhere: StreamBroker, redis_server: RedisServer
) -> None:
    """Who stores what was handled stores both."""
    delivered: list[tuple[str, str]] = []

    async def handle(event: Said, delivery: Delivery) -> None:
        delivered.append((delivery.source, delivery.event_id))

    await elsewhere.publish_event(SAID, said(1), event_id="a")
    broker.subscribe_event(SAID, group="g", limits=FAST)(handle)
    await broker.start_consumers()
    await eventually(lambda: delivered == [("/elsewhere", "a")])


async def test_what_faststream_publishes_keeps_its_extensions_and_source(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A traceparent among the headers is an attribute of the event, and comes out as a header."""
    headers = {"traceparent": "00-1-2-01", "source": "/other", "content-type": "x", "data": "no"}
    await broker.publish(said(1), stream=SAID.name, correlation_id="a", headers=headers)
    ((_, fields),) = redis_server.client().xrange(SAID.name)
    content = json.loads(fields[b"__data__"])
    assert (content["traceparent"], content["source"]) == ("00-1-2-01", "/other")
    assert "content-type" not in content
    assert receive(SAID, fields).event == said(1)
    _, attributes = CloudEventsFormat.parse(fields[b"__data__"])
    assert attributes["traceparent"] == "00-1-2-01"


async def test_a_body_that_is_empty_is_published_and_read(redis_server: RedisServer) -> None:
    """A FastStream publisher without a body raises nothing, and its subscriber gets none."""
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    broker = RedisBroker(redis_server.url, message_format=CloudEventsFormat)

    @broker.subscriber(stream=StreamSub("empty", last_id="0"))
    async def read(body: Any) -> None:
        got.set_result(body)

    async with broker:
        await broker.publish(None, stream="empty")
        await broker.start()
        assert not await asyncio.wait_for(got, 10)


async def test_a_source_that_could_be_none_is_told(redis_server: RedisServer) -> None:
    """It is a part of every marker: no control characters, and not without end."""
    for source in ("/a\tb", "/" + "x" * 200):
        with pytest.raises(ValueError, match="source"):
            await StreamBroker().connect(redis_server.url, source=source)
