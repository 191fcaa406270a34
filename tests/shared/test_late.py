"""An event that was handed over long ago is not appended: nothing may remember its id any more."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.keys import MARKER_LIFETIME
from shared.streams import TooLateError
from shared.streams.event.envelope import encode
from shared.streams.publish import publisher as publishing
from shared.streams.publish.publisher import PUBLISH_WITHIN, Publisher
from tests.servers import RedisServer
from tests.shared.clock import Clock
from tests.shared.said import SAID, said

DAY = 24 * 3600
PAYLOAD = encode(said(1), event_id="a", kind=SAID.name, source="/tests")


@pytest.fixture
async def publisher(redis_server: RedisServer, clock: Clock) -> AsyncIterator[Publisher]:
    """A publisher with that clock."""
    client = Redis.from_url(redis_server.url)
    publisher = Publisher(client, _no_room, clock)
    yield publisher
    await publisher.close()
    await client.aclose()


async def _no_room() -> None:
    raise AssertionError


async def publish(publisher: Publisher, event_id: str) -> str:
    """Publish an event and return its entry."""
    return (await publisher.publish(SAID.name, "/tests", event_id, PAYLOAD)).entry_id


async def refuse(publisher: Publisher, event_id: str) -> None:
    """Refuse an event."""
    await publisher.refuse(SAID.name, "/tests", event_id, PAYLOAD, "bad")


def test_what_may_be_appended_is_remembered_still() -> None:
    """Telegram repeats an update for a day, it may be appended for another, clocks may differ."""
    assert DAY + PUBLISH_WITHIN <= MARKER_LIFETIME - DAY


@pytest.mark.parametrize("before", [0, 1], ids=["first", "after others"])
@pytest.mark.parametrize("call", [publish, refuse])
async def test_a_process_that_slept_for_days_writes_nothing(
    publisher: Publisher,
    redis_server: RedisServer,
    clock: Clock,
    call: Any,
    before: int,
) -> None:
    """It wakes with an event in hand which another process may have published meanwhile."""
    for number in range(before):
        await publish(publisher, f"before {number}")
    client = redis_server.client()
    clock.ahead = -4 * DAY
    handing_over = asyncio.create_task(call(publisher, "old"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.ahead = 0.0
    with pytest.raises(TooLateError, match="old"):
        await handing_over
    assert client.xlen(SAID.name) == before
    assert not client.exists(SAID.dead_letters)
    assert await publish(publisher, "new")
    assert await publish(publisher, "old")  # handed over again by whoever has it still


async def test_what_was_published_is_told_however_late(publisher: Publisher, clock: Clock) -> None:
    """Where the id is remembered there is no doubt."""
    entry = await publish(publisher, "a")
    clock.ahead = -4 * DAY
    again = asyncio.create_task(publish(publisher, "a"))
    await asyncio.sleep(0)
    clock.ahead = 0.0
    assert await again == entry


@pytest.mark.parametrize("days", [-4, 4])
async def test_a_clock_that_is_wrong_keeps_nothing_back(
    publisher: Publisher, redis_server: RedisServer, clock: Clock, days: int
) -> None:
    """The server's time counts; where the machine's is set right, a call may be repeated."""
    clock.ahead = days * DAY
    await publish(publisher, "a")
    clock.ahead = 0.0
    try:
        await publish(publisher, "b")
    except TooLateError:
        await publish(publisher, "b")
    await publish(publisher, "c")
    assert redis_server.client().xlen(SAID.name) == 3


async def test_what_lay_in_a_socket_is_not_appended(
    publisher: Publisher, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is in the bytes: a server that reads them too late appends nothing."""
    await publish(publisher, "first")
    monkeypatch.setattr(publishing, "PUBLISH_WITHIN", 0.2)
    redis_server.freeze()
    sending = asyncio.create_task(publish(publisher, "old"))
    deadline = time.time() + 0.5
    while time.time() < deadline:
        await asyncio.sleep(0.05)
    redis_server.thaw()
    with pytest.raises(TooLateError):
        await sending
    assert redis_server.client().xlen(SAID.name) == 1


async def test_an_old_event_holds_no_new_one_back(
    publisher: Publisher, redis_server: RedisServer, clock: Clock
) -> None:
    """They wait in one queue and share no call."""
    await publish(publisher, "first")
    clock.ahead = -4 * DAY
    old = asyncio.create_task(publish(publisher, "old"))
    await asyncio.sleep(0)
    clock.ahead = 0.0
    new = asyncio.create_task(publish(publisher, "new"))
    outcomes = await asyncio.gather(old, new, return_exceptions=True)
    assert isinstance(outcomes[0], TooLateError)
    assert isinstance(outcomes[1], str)
