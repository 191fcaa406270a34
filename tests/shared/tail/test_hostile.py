"""What others have added is shown for what it is, and keeps nothing else from being shown."""

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.console import console
from shared.console.views import MOST_ENTRIES, Views
from shared.generated.events import command_received
from shared.streams import StreamBroker
from shared.streams.event.moments import LAST, moment
from shared.tail.follow import from_process
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.tail.test_tail import following, publish

STREAM, LETTERS = command_received.name, command_received.dead_letters
GROUP = b"\x1b[31m\xff"
HERE = "http://127.0.0.1:8000"
AFTER_ALL_TIMES = "9999999999999999-1"
"""An id that is no time any more; whatever is added later comes behind it."""
BODIES = [
    *(b'{"data":{"a":NaN}}', b'{"data":{"from":{"id":1e400}}}', b'{"data":[-Infinity]}'),
    *(b"[" * 5_000, b'{"a":' * 300 + b"1" + b"}" * 300, b"\xff\xfe", b"", b"null"),
    *(b'{"id":"\\ud800","data":{}}', '{"id":"\x1b[2J\u202e"}'.encode()),
    b'{"id":{"x":[1]},"source":5,"data":{"user_id":true}}',
    b'{"data":{"timestamp":"9999-12-31T23:59:59+14:00"},"time":"0001-01-01T00:00:00-14:00"}',
    b'{"data":{"timestamp":5},"time":[1]}',
    b'{"data":{"n":1' + b"0" * 5_000 + b"}}",
]


def refuse_constants(name: str) -> None:
    """Fail at what Python reads and JSON has not."""
    raise AssertionError(name)


async def test_others_entries_groups_and_ids_keep_nothing_from_being_shown(
    broker: StreamBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    """In the tool's JSON, in the console, and in the age by which an inbox forgets."""
    client = redis_server.client()
    names = ("event_id", "source", "reason", "group", "entry_id", "deliveries", "time", "fields")
    for body in BODIES:
        client.xadd(STREAM, {"__data__": body})
        client.xadd(LETTERS, {"__data__": body, **dict.fromkeys(names, body)})
    client.xgroup_create(STREAM, GROUP, id="0")
    client.xreadgroup(GROUP, GROUP, {STREAM: ">"}, count=3)
    for key in (STREAM, LETTERS):
        client.xadd(key, {"__data__": b"{}"}, id=AFTER_ALL_TIMES)
    await publish(broker, "42:1")
    with following(tmp_path, redis_server.url, "--json", "--status", "--since", "1h") as tail:
        await eventually(lambda: any('"42:1"' in line for line in tail.lines), 60)
        messages = [json.loads(line, parse_constant=refuse_constants) for line in tail.lines]
    assert sum("entry" in each for each in messages) == len(BODIES) + 2
    assert sum("letter" in each for each in messages) == len(BODIES) + 1
    (group,) = next(each["status"] for each in messages if "status" in each)[0]["groups"]
    assert (group["group"], group["pending"]) == ("\x1b[31m" + r"\xff", 3)

    app: Any = console("open", redis_url=redis_server.url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
        for path in ("standing", "letters"):
            assert (await http.get(f"/api/{path}")).status_code == 200
        for id_, _ in client.xrange(STREAM):
            asked = {"stream": STREAM, "id": id_.decode()}
            journey = await http.get("/api/journey", params=asked)
            assert journey.status_code == 200
            assert any("in the stream" in step["what"] for step in journey.json()["steps"])
    oldest = await broker.oldest(command_received)
    assert oldest is not None
    client.delete(STREAM, LETTERS, "{command_received}:buried")
    client.xadd(STREAM, {"__data__": b"{}"}, id=AFTER_ALL_TIMES)
    assert await broker.oldest(command_received) == LAST


def test_an_id_is_the_time_that_it_says() -> None:
    """To the millisecond, from 1970 to the last year that there is."""
    assert moment(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)
    assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert moment(2**64 - 1) == LAST
    assert moment(253_402_300_800_000) == LAST


async def test_a_line_that_is_too_long_is_left_out() -> None:
    """Of a tool elsewhere: what comes behind it is shown."""
    entry = "head -c 9000000 /dev/zero | tr '\\0' x; echo; echo '{\"notice\": \"behind\"}'"
    async with aclosing(from_process(("sh", "-c", entry), "")) as happening:
        assert await anext(happening) == {"notice": "behind"}


async def test_an_address_that_is_none_is_refused(redis_server: RedisServer) -> None:
    """As host or as origin, before anything is looked at."""
    app: Any = console("open", redis_url=redis_server.url)
    body = {"verb": "drop", "stream": STREAM, "ids": ["1-1"]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
        for wrong in ({"Origin": "http://["}, {"Host": "[::1"}, {"Host": ""}, {"Origin": "null"}):
            answer = await http.post("/api/letters", json=body, headers={"Origin": HERE, **wrong})
            assert answer.status_code == 403, wrong


@pytest.mark.parametrize("chunk", [10 * MOST_ENTRIES, 50], ids=["at once", "in a stream"])
async def test_a_page_is_sent_the_newest_of_a_flood(redis_server: RedisServer, chunk: int) -> None:
    """Nobody reads thousands in a second, and to send them all would cost who stores them."""
    client, views, most = redis_server.client(), Views(redis_server.url), 10 * MOST_ENTRIES
    ids: list[str] = []

    async def flood() -> None:
        for begin in range(0, most, chunk):
            with client.pipeline(transaction=False) as pipe:
                for number in range(begin, begin + chunk):
                    pipe.xadd(STREAM, {"__data__": b"{}"}, id=f"1-{number + 1}")
                pipe.execute()
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group, aclosing(views.follow()) as happening:
        async for message in happening:
            if "places" in message:
                group.create_task(flood())
            if "entry" in message:
                ids.append(message["entry"]["id"])
                if ids[-1] == f"1-{most}":
                    break
    newest = [f"1-{number + 1}" for number in range(most - MOST_ENTRIES, most)]
    assert ids[-MOST_ENTRIES:] == newest
    assert 2 * MOST_ENTRIES <= len(ids) < most / 2
