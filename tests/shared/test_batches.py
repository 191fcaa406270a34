"""Publishes that share a call: which do, whose terms they have, and what is told of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from shared.keys import MARKER_LIFETIME, marker
from shared.metrics import catalogue
from shared.streams import (
    EventRefusedError,
    NotConnectedError,
    Publication,
    StreamBroker,
    TooLateError,
    publishing,
)
from shared.streams.event.envelope import encode
from shared.streams.publish import publisher as module
from shared.streams.publish import room as rooms
from shared.streams.publish.batches import TOGETHER, Waiting
from shared.streams.publish.bulk import publish_all
from shared.streams.publish.publisher import MAX_BATCH, Publisher
from shared.streams.publish.recording import record_batch
from shared.streams.publish.room import Room
from shared.streams.retry import RedisOutage
from tests.servers import RedisServer
from tests.shared.clock import Clock
from tests.shared.said import SAID, said

PAYLOAD = encode(said(1), event_id="a", kind=SAID.name, source="/tests")
SOURCE = "/tests"


class Noting(Publisher):
    """Notes which groups it was handed."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        super().__init__(client, _no_room, clock)
        self.notes: list[tuple[str, str]] = []

    async def publish_group(
        self, stream: str, source: str, events: Sequence[tuple[str, bytes]]
    ) -> list[Publication | EventRefusedError]:
        self.notes.append(("handed", events[0][0]))
        return await super().publish_group(stream, source, events)


async def _no_room() -> None:
    """Trim nothing."""


@pytest.fixture
async def publisher(redis_server: RedisServer, clock: Clock) -> AsyncIterator[Noting]:
    """A publisher that has published before."""
    client = Redis.from_url(redis_server.url)
    publisher = Noting(client, clock)
    await publisher.publish(SAID.name, SOURCE, "warm", PAYLOAD)
    yield publisher
    await publisher.close()
    await client.aclose()


def calls(server: RedisServer) -> int:
    """Return how many script calls the server has had."""
    return int(server.client().info("commandstats")["cmdstat_evalsha"]["calls"])


def identities(server: RedisServer) -> list[tuple[str, str]]:
    """Return source and id of each event, as the markers have them."""
    client = server.client()
    keys = client.keys(marker(SAID.name, "*"))
    ids = [key.decode().removeprefix(marker(SAID.name, "")) for key in keys]
    return sorted((client.get(marker(SAID.name, i)).decode().partition("\t")[2], i) for i in ids)


def test_what_was_handed_over_within_a_minute_may_share_a_call() -> None:
    """Of one stream and one source; else the call would have another one's terms."""

    async def joins(stream: str, source: str, handed: float) -> bool:
        first = Waiting("said", SOURCE, (), 100.0, None)
        return Waiting(stream, source, (), handed, None).joins(first)

    cases = [
        (("said", SOURCE, 100 + TOGETHER), True),
        (("said", SOURCE, 100 - TOGETHER), True),
        (("said", SOURCE, 101 + TOGETHER), False),
        (("other", SOURCE, 100.0), False),
        (("said", "/other", 100.0), False),
    ]
    assert [asyncio.run(joins(*case)) for case, _ in cases] == [expected for _, expected in cases]


@pytest.mark.parametrize(("count", "expected"), [(MAX_BATCH, 1), (MAX_BATCH + 1, 2)])
async def test_a_call_has_so_many_events_and_no_more(
    publisher: Noting, redis_server: RedisServer, count: int, expected: int
) -> None:
    """The server answers nobody else while a script runs."""
    before = calls(redis_server)
    publish = publisher.publish
    await asyncio.gather(*(publish(SAID.name, SOURCE, str(n), PAYLOAD) for n in range(count)))
    assert calls(redis_server) - before == expected


@pytest.mark.parametrize(
    ("sizes", "expected"), [((400, 300, 50), 2), ((100, 400), 1), ((MAX_BATCH, 1), 2)]
)
async def test_a_group_is_not_divided(
    publisher: Noting, redis_server: RedisServer, sizes: tuple[int, ...], expected: int
) -> None:
    """It goes with those before it where all of it fits, and nothing overtakes it."""
    before = calls(redis_server)
    groups = [[(f"{n}:{m}", PAYLOAD) for m in range(size)] for n, size in enumerate(sizes)]
    publish = publisher.publish_group
    outcomes = await asyncio.gather(*(publish(SAID.name, SOURCE, group) for group in groups))
    assert calls(redis_server) - before == expected
    ids = [[outcome.event_id for outcome in outcome] for outcome in outcomes]
    assert ids == [[event_id for event_id, _ in group] for group in groups]
    places = [
        outcome.entry_id for group in outcomes for outcome in group if hasattr(outcome, "entry_id")
    ]
    entries = [entry.decode() for entry, _ in redis_server.client().xrange(SAID.name)]
    assert places == entries[1:]


async def test_a_group_with_an_id_that_can_be_none_is_not_published(
    publisher: Noting, redis_server: RedisServer
) -> None:
    """Nothing of it is: whoever made it has a fault."""
    for odd in ("", "a" * 201, "a\n"):
        with pytest.raises(ValueError, match="an event id has"):
            await publisher.publish_group(SAID.name, SOURCE, [("a", PAYLOAD), (odd, PAYLOAD)])
    assert redis_server.client().xlen(SAID.name) == 1


async def test_each_event_has_its_own_source(publisher: Noting, redis_server: RedisServer) -> None:
    """Also between those of others, that are handed over at the same time."""
    given = [("/a", "1"), ("/b", "2"), ("/a", "3"), ("/a", "4")]
    before = calls(redis_server)
    await asyncio.gather(*(publisher.publish(SAID.name, of, i, PAYLOAD) for of, i in given))
    assert identities(redis_server) == sorted([*given, (SOURCE, "warm")])
    assert calls(redis_server) - before == 3


async def test_who_was_answered_joins_the_next_call(
    publisher: Noting, redis_server: RedisServer
) -> None:
    """A sender with much to say costs no more calls than many with little."""

    async def twice(number: int) -> None:
        for again in range(2):
            await publisher.publish(SAID.name, SOURCE, f"{number}:{again}", PAYLOAD)

    before = calls(redis_server)
    await asyncio.gather(*(twice(number) for number in range(MAX_BATCH + 1)))
    assert calls(redis_server) - before == 3


async def test_a_call_has_the_deadline_of_its_first_event(
    publisher: Noting, redis_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever joins it is no reason to append what is too old; and a chain has an end."""
    monkeypatch.setattr(module, "PUBLISH_WITHIN", 0.7 * TOGETHER)

    async def publish(ahead: float) -> Publication:
        clock.ahead = ahead
        return await publisher.publish(SAID.name, SOURCE, f"at {ahead}", PAYLOAD)

    before = calls(redis_server)
    publishes = [publish(ahead * TOGETHER) for ahead in (-1.2, -0.6, 0.0)]
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TooLateError, TooLateError, Publication]
    assert calls(redis_server) - before == 2


async def test_a_group_is_on_its_way_while_the_next_is_made(publisher: Noting) -> None:
    """And no more than two are; a publish that is given up gives up all of them."""
    notes = publisher.notes

    def events() -> Iterator[tuple[str, Any]]:
        for number in range(4 * MAX_BATCH):
            if not number % MAX_BATCH:
                notes.append(("made", str(number)))
            yield str(number), said(number)

    began = time.monotonic()
    outcomes = await publish_all(publisher, SAID, SOURCE, events())
    assert time.monotonic() - began < 3
    assert [outcome.event_id for outcome in outcomes] == [str(n) for n in range(4 * MAX_BATCH)]
    assert notes == [(step, str(n * MAX_BATCH)) for n in range(4) for step in ("made", "handed")]


async def test_a_bulk_publish_that_is_given_up_leaves_nothing_behind(
    publisher: Noting, redis_server: RedisServer
) -> None:
    """What is not on its way yet is not published later."""
    redis_server.freeze()
    events = ((str(n), said(n)) for n in range(2 * MAX_BATCH))
    work = asyncio.create_task(publish_all(publisher, SAID, SOURCE, events))
    while len(publisher.notes) < 2:
        await asyncio.sleep(0.01)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await asyncio.sleep(0)
    assert "publish group" not in {task.get_name() for task in asyncio.all_tasks()}
    redis_server.thaw()


async def test_an_id_is_remembered_for_its_time_to_the_second(
    publisher: Noting, redis_server: RedisServer
) -> None:
    """Of what was published as of what was refused."""
    with pytest.raises(EventRefusedError):
        await publisher.refuse(SAID.name, SOURCE, "refused", PAYLOAD, "bad")
    for event_id in ("warm", "refused"):
        left = redis_server.client().ttl(marker(SAID.name, event_id))
        assert MARKER_LIFETIME - 60 < left <= MARKER_LIFETIME


async def test_the_servers_time_is_known_before_the_first_call(
    redis_server: RedisServer, clock: Clock
) -> None:
    """To the second, whatever this machine's clock shows."""
    clock.ahead = -3 * 86400.0
    client = Redis.from_url(redis_server.url)
    publisher = Publisher(client, _no_room, clock)
    try:
        with pytest.raises(EventRefusedError):
            await publisher.refuse(SAID.name, SOURCE, "a", PAYLOAD, "bad")
        there = publisher._clock.there(clock())
        assert there == pytest.approx(time.time(), abs=1)
        await publisher.publish(SAID.name, SOURCE, "b", PAYLOAD)
        there = publisher._clock.there(clock())
        assert there == pytest.approx(time.time(), abs=1)
    finally:
        await publisher.close()
        await client.aclose()


async def test_whoever_waits_is_told_of_the_end(redis_server: RedisServer, clock: Clock) -> None:
    """What is under way, and what waits behind it; later there is nothing to publish with."""
    client = Redis.from_url(redis_server.url)
    publisher = Publisher(client, _no_room, clock)
    await publisher.publish(SAID.name, SOURCE, "warm", PAYLOAD)
    redis_server.freeze()
    waiting = [
        asyncio.create_task(publisher.publish(SAID.name, source, "a", PAYLOAD))
        for source in ("/a", "/b")
    ]
    await asyncio.sleep(0.01)
    await publisher.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    redis_server.thaw()
    assert [type(outcome) for outcome in outcomes] == [NotConnectedError] * 2
    with pytest.raises(NotConnectedError):
        await asyncio.wait_for(publisher.publish(SAID.name, SOURCE, "b", PAYLOAD), 5)
    await client.aclose()


async def test_an_end_that_python_has_lost_is_one_all_the_same(
    redis_server: RedisServer, clock: Clock
) -> None:
    """Nothing is sent after it, and nobody is asked again."""
    client, trimming = Redis.from_url(redis_server.url), asyncio.Event()

    async def trim() -> None:
        trimming.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        redis_server.client().config_set("maxmemory", 0)

    publisher = Publisher(client, trim, clock)
    redis_server.client().config_set("maxmemory", 1)
    waiting = [
        asyncio.create_task(publisher.publish(SAID.name, source, "a", PAYLOAD))
        for source in ("/a", "/b")
    ]
    await trimming.wait()
    await asyncio.wait_for(publisher.close(), 5)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Publication, NotConnectedError]
    await client.aclose()

    async def call() -> None:
        raise OutOfMemoryError("full")

    trimming.clear()
    asking = asyncio.create_task(Room(trim).insist(call, RedisOutage("publish")))
    await trimming.wait()
    asking.cancel()
    await asyncio.wait({asking}, timeout=5)
    assert asking.cancelled()


async def test_a_broker_that_is_closed_leaves_no_connection(redis_server: RedisServer) -> None:
    """Neither of its calls nor of its trimming; nor a task."""
    client = redis_server.client()
    before = len(client.client_list())
    broker = StreamBroker()
    await broker.connect(redis_server.url)
    await broker.publish_event(SAID, said(1))
    await broker.close()
    async with asyncio.timeout(5):
        while len(await asyncio.to_thread(client.client_list)) > before:
            await asyncio.sleep(0.01)
    assert {task.get_name() for task in asyncio.all_tasks()} & {"publish", "tidy"} == set()


async def test_a_publisher_that_is_closed_gives_its_connection_back(
    publisher: Noting, redis_server: RedisServer
) -> None:
    """Also where its client goes on with something else."""
    client = redis_server.client()
    before = len(client.client_list())
    await publisher.close()
    async with asyncio.timeout(5):
        while len(await asyncio.to_thread(client.client_list)) >= before:
            await asyncio.sleep(0.01)


async def test_who_wants_to_know_is_told_that_a_publish_waits(broker: StreamBroker) -> None:
    """Once when it begins, and once when it has ended, whatever came of it."""
    changes: list[int] = []
    token = publishing.set(changes.append)
    await broker.publish_event(SAID, said(1))
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {}, event_id="a", reason="bad")
    publishing.reset(token)
    await broker.publish_event(SAID, said(1))
    assert changes == [1, -1, 1, -1]


async def test_what_becomes_of_events_is_counted(broker: StreamBroker) -> None:
    """New, there before, refused: each once, with the time and the size of its call."""
    stream = (SAID.name,)

    def counts() -> list[float]:
        published, refused = ((SAID.name, status) for status in ("success", "error"))
        single = [catalogue.PUBLISHED.series.get(labels, 0.0) for labels in (published, refused)]
        batches = catalogue.BATCH_EVENTS.series.get(stream, [0.0])
        seconds = catalogue.PUBLISH_SECONDS.series.get(stream, [0.0])
        duplicates = catalogue.DUPLICATES.series.get(stream, 0.0)
        return [*single, duplicates, sum(batches[:-1]), batches[-1], sum(seconds[:-1])]

    def grown(before: list[float]) -> list[float]:
        return [now - then for now, then in zip(counts(), before, strict=True)]

    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {}, event_id="bad", reason="bad")
    before, seconds = counts(), catalogue.PUBLISH_SECONDS.series.get(stream, [0.0])[-1]
    await asyncio.gather(*(broker.publish_event(SAID, said(n), event_id=str(n)) for n in range(3)))
    assert grown(before) == [3, 0, 0, 1, 3, 3]
    assert 0 < catalogue.PUBLISH_SECONDS.series[stream][-1] - seconds < 2
    before = counts()
    outcomes = await asyncio.gather(
        *(broker.publish_event(SAID, said(1), event_id=i) for i in ("2", "bad", "3")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], EventRefusedError)
    assert grown(before) == [2, 1, 1, 1, 3, 3]
    before = counts()
    assert (await broker.refuse_event(SAID, {}, event_id="2", reason="bad")).duplicate
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {}, event_id="4", reason="bad")
    assert grown(before) == [0, 1, 1, 0, 0, 0]


async def test_a_clock_that_is_put_back_makes_no_time_negative() -> None:
    """It counts as none; what was handed over earlier counts as long as it took."""
    stream = "put_back"
    waiting = [Waiting(stream, SOURCE, [("a", b"")], handed, None) for handed in (100.0, 97.0)]
    outcomes = [Publication("a", "1-1", duplicate=False)] * 2
    record_batch(waiting, outcomes, 99.0)
    *counts, total = catalogue.PUBLISH_SECONDS.series[stream,]
    assert (sum(counts), total) == (2, 2.0)


@pytest.mark.parametrize("answers", [3, None], ids=["room is made", "in vain"])
async def test_a_full_server_is_asked_again_in_pauses(
    monkeypatch: pytest.MonkeyPatch, answers: int | None
) -> None:
    """Each time after room was made; at the end of the patience there is no answer."""
    monkeypatch.setattr(rooms, "PATIENCE", 0.6)
    asked: list[float] = []
    trimmed: list[float] = []

    async def trim() -> None:
        trimmed.append(time.monotonic())

    async def call() -> str:
        asked.append(time.monotonic())
        if len(asked) == answers:
            return "there"
        raise OutOfMemoryError("full")

    room, outage = Room(trim), RedisOutage("publish")
    assert await room.ask(call, outage) is None
    assert await room.insist(call, outage) == ("there" if answers else None)
    assert len(trimmed) == len(asked) - 1
    assert all(known <= when for known, when in zip(trimmed, asked[1:], strict=True))
    took = asked[-1] - asked[0]
    if answers:
        assert len(asked) == answers
    else:
        assert 0.6 <= took < 2
        assert len(asked) < 40
        # Until the server has had room for as long, nothing more is waited for.
        began, before = time.monotonic(), len(asked)
        assert await room.ask(call, outage) is await room.insist(call, outage) is None
        assert (len(asked) - before, time.monotonic() - began < 0.3) == (2, True)
        await asyncio.sleep(0.7)
        assert await room.ask(call, outage) is None
        before = len(asked)
        assert await room.insist(call, outage) is None
        assert len(asked) - before > 2
