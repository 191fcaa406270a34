"""The way of an event that a group has given up."""

import json
from datetime import UTC, datetime

from shared.console.journey import journey
from shared.generated.events import command_received
from shared.keys import dead_letters_of
from shared.streams import StreamBroker
from shared.streams.dead_letters.letters import DeadLetter
from shared.streams.event.envelope import FIELD
from shared.tail.follow import connection
from tests.console.test_console import publish
from tests.servers import RedisServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STREAM = command_received.name


async def test_a_group_that_has_given_up_says_why_and_after_how_many_attempts(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """It has not merely finished with it; another event's letter is none of this one's."""
    client, raw = connection(redis_server.url), redis_server.client()
    for event_id in ("42:1", "42:2"):
        await publish(broker, event_id, "/poison")
    raw.xgroup_create(STREAM, "ledger", id="0")
    first, second = (id_.decode() for id_, _ in raw.xrange(STREAM))
    raw.xreadgroup("ledger", "me", {STREAM: ">"})
    raw.xack(STREAM, "ledger", first, second)
    letter = DeadLetter("42:1", b"", "no such account", "/tests", "ledger", first, 5)
    fields = letter.fields()
    raw.xadd(dead_letters_of(STREAM), dict(zip(fields[::2], fields[1::2], strict=True)))
    notes = []
    for id_ in (first, second):
        way = await journey(client, STREAM, id_, None)
        notes += [step["note"] for step in way["steps"] if step["what"] == "group ledger"]
        assert way["done"]
    await client.aclose()
    given_up = "given up after failed attempts: 5; the last: no such account"
    assert notes == [given_up, "finished with it"]


async def test_a_journey_has_the_times_of_its_update_and_the_trace(
    redis_server: RedisServer,
) -> None:
    """In the order of their times; it is not done before Telegram was told."""
    client = connection(redis_server.url)
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    data = {"command": "/a", "args": [], "user_id": 7, "timestamp": datetime.now(UTC).isoformat()}
    envelope = {"specversion": "1.0", "id": "42:1", "source": "/tests", "type": STREAM}
    entry = json.dumps({**envelope, **trace, "data": data})
    redis_server.client().xadd(STREAM, {FIELD: entry})
    ((id_, _),) = redis_server.client().xrange(STREAM)
    fetched = "2026-01-31T12:00:00+00:00"
    update = {"fetched": fetched}

    async def moments(source: str, event_id: str) -> dict[str, str]:
        assert (source, event_id) == ("/tests", "42:1")
        return update

    way = await journey(client, STREAM, id_.decode(), None, moments)
    assert way["steps"][0] == {"what": "fetched by tests", "time": fetched}
    assert (way["done"], way["trace"]) == (False, TRACE)
    update["confirmed"] = "2099-01-31T12:00:00+00:00"
    way = await journey(client, STREAM, id_.decode(), None, moments)
    assert way["steps"][-1]["what"] == "confirmed to Telegram by tests"
    assert way["done"]
    await client.aclose()
