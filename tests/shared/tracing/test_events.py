"""Events carry their trace: each attempt to handle one has a span, a batch is linked."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from shared.streams import Delivery, EventRefusedError, Limits, StreamBroker
from shared.tracing import carrier, conventions, handling, processing
from shared.tracing.life import tracing
from shared.tracing.settings import TraceSettings
from tests.collector import Collector, Span
from tests.databases import CloseLater, close_later, sqlite_url
from tests.inbox.ledger import new_ledger
from tests.servers import RedisServer
from tests.shared.conftest import way
from tests.shared.said import SAID, Said, said

__all__ = ["close_later", "sqlite_url", "way"]

FAST = Limits(block=0.05, claim_after=0.6, first_retry=0.01, last_retry=0.05, deliveries=3)
FOREIGN = f"00-{'ab' * 16}-{'cd' * 8}-01"
RATIO = "parentbased_traceidratio"
NOT_RECORDED = f"{FOREIGN[:-1]}0"


def settings(collector: Collector, **others: Any) -> TraceSettings:
    """Return the variables of a process that sends its traces there."""
    return TraceSettings(otel_exporter_otlp_endpoint=collector.address, **others)


def entries(server: RedisServer, stream: str = "said") -> list[dict[str, Any]]:
    """Return the events of a stream as they stand there."""
    return [json.loads(fields[b"__data__"]) for _, fields in server.client().xrange(stream)]


def is_recorded(traceparent: str) -> bool:
    """Whether a trace is recorded, as what is carried of it says."""
    return bool(int(traceparent.rsplit("-", 1)[1], 16) & 1)


async def until(holds: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def only(spans: list[Span]) -> Span:
    """Return the only span of a list."""
    (span,) = spans
    return span


@pytest.mark.usefixtures("way")
async def test_each_attempt_is_a_span_of_the_events_trace(
    broker: StreamBroker, traced: Collector
) -> None:
    """Numbered, below the publish; one that raised says the type of the error and not its text."""
    attempts: list[int] = []

    async def handler(_: Said, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) < 3:
            raise ValueError("a-secret-word")

    broker.subscribe_event(SAID, group="g", limits=FAST)(handler)
    with tracing("tests", settings(traced)):
        await broker.publish_event(SAID, said(1), event_id="1:1")
        await broker.start_consumers()
        await until(lambda: len(attempts) == 3)
        await broker.stop_consumers()
    sent, tries = only(traced.spans("send said")), traced.spans("process said")
    assert {(each.trace, each.parent) for each in tries} == {sent.place}
    numbers = [each.attributes[conventions.ATTEMPT] for each in tries]
    assert numbers == [1, 2, 3]
    assert [each.failed for each in tries] == [True, True, False]
    assert [each.attributes.get(conventions.ERROR) for each in tries] == ["ValueError"] * 2 + [None]
    assert {each.attributes[conventions.GROUP] for each in tries} == {"g"}
    assert not any(b"secret" in span.raw for span in traced.spans())


@pytest.mark.usefixtures("way")
async def test_what_a_foreign_publisher_says_of_a_trace_is_gone_on_with_or_ignored(
    broker: StreamBroker, redis_server: RedisServer, traced: Collector
) -> None:
    """A trace context is the parent; what is none is no reason not to handle the event."""
    garbage = ["", "garbage", 7, None, ["a"], {}, f"00-{'0' * 32}-{'cd' * 8}-01", "x" * 9000]
    contexts = [{"traceparent": each, "tracestate": each} for each in garbage]
    contexts += [{"traceparent": FOREIGN, "tracestate": 7}, {"tracestate": "a=b"}]
    event = json.loads(said(1).model_dump_json())
    for number, context in enumerate(contexts):
        envelope = {"specversion": "1.0", "id": f"f:{number}", "source": "/foreign", "type": "said"}
        raw = json.dumps({**envelope, **context, "data": event})
        redis_server.client().xadd("said", {"__data__": raw})
    handled: list[str] = []

    async def handler(_: Said, delivery: Delivery) -> None:
        handled.append(delivery.event_id)

    broker.subscribe_event(SAID, group="g", limits=FAST)(handler)
    with tracing("tests", settings(traced)):
        await broker.start_consumers()
        await until(lambda: len(handled) == len(contexts))
        await broker.stop_consumers()
    spans = {span.attributes[conventions.MESSAGE_ID]: span for span in traced.spans("process said")}
    followed = spans.pop(f"f:{len(garbage)}")
    assert f"00-{followed.trace}-{followed.parent}-01" == FOREIGN
    assert len(spans) == len(contexts) - 1
    assert {span.parent for span in spans.values()} == {""}
    assert len({span.trace for span in spans.values()}) == len(spans)
    assert redis_server.client().xlen(SAID.dead_letters) == 0


async def test_what_is_published_at_once_shares_a_span(
    broker: StreamBroker, redis_server: RedisServer, traced: Collector
) -> None:
    """One for the call, which says how many there are, and which all of them carry."""
    with tracing("tests", settings(traced)):
        await broker.publish_events(SAID, [(f"1:{n}", said(n)) for n in range(3)])
    sent = only(traced.spans())
    assert (sent.name, sent.kind, sent.attributes[conventions.BATCH]) == (
        "send said",
        "PRODUCER",
        3,
    )
    carried = {entry["traceparent"].rsplit("-", 1)[0] for entry in entries(redis_server)}
    assert carried == {f"00-{sent.trace}-{sent.id}"}


async def test_through_faststream_an_event_carries_its_span_too(
    broker: StreamBroker, redis_server: RedisServer, traced: Collector
) -> None:
    """A trace that the caller gives as a header stays as it is."""
    with tracing("tests", settings(traced)):
        await broker.publish({"a": 1}, stream="said", correlation_id="1:1")
        publisher = broker.publisher_of(SAID)
        await publisher.publish(said(2), event_id="1:2", headers={"traceparent": FOREIGN})
    ours, given = entries(redis_server)
    sent, _ = traced.spans("send said")
    assert ours["traceparent"].startswith(f"00-{sent.trace}-{sent.id}-")
    assert given["traceparent"] == FOREIGN


async def test_what_is_refused_keeps_its_trace_in_the_dead_letters(
    broker: StreamBroker, redis_server: RedisServer, traced: Collector
) -> None:
    """So a replay goes on where it stopped."""

    async def refuse() -> None:
        with pytest.raises(EventRefusedError):
            await broker.refuse_event(SAID, said(1), event_id="1:1", reason="no")

    with tracing("tests", settings(traced)):
        await handling(None, "1:1", refuse)()
    span = only(traced.spans("process updates"))
    ((_, letter),) = redis_server.client().xrange(SAID.dead_letters)
    kept = json.loads(letter[b"__data__"])
    assert kept["traceparent"].startswith(f"00-{span.trace}-{span.id}-")


async def test_a_transaction_for_one_event_is_its_child_and_for_several_is_linked(
    traced: Collector, sqlite_url: str, close_later: CloseLater
) -> None:
    """Both ways: from the event to the transaction, and from that to all of its events."""
    ledger = new_ledger()
    ledger.database.connect(sqlite_url)
    close_later(ledger.database)
    await ledger.database.upgrade(sqlite_url)
    commits: list[object] = []
    event.listen(ledger.database.engine.sync_engine, "commit", commits.append)

    async def enter(number: int) -> None:
        delivery = Delivery(f"1:{number}", "said", "1-0", 1, "/tests")
        with processing("said", "g", delivery.event_id, 1, b"{}"):
            await ledger.enter(said(number), delivery)

    with tracing("tests", settings(traced)):
        await enter(0)
        await asyncio.gather(*map(enter, range(1, 6)))
    events = {
        span.attributes[conventions.MESSAGE_ID]: span for span in traced.spans("process said")
    }
    alone, *shared = traced.spans("transaction enter")
    assert (alone.trace, alone.parent) == events.pop("1:0").place
    assert not alone.links
    assert len(shared) == len(commits) - 1
    assert {span.kind for span in shared} == {"CLIENT"}
    together = only([span for span in shared if conventions.BATCH in span.attributes])
    linked = [each for each in events.values() if each.links]
    assert together.attributes == {conventions.BATCH: len(linked), conventions.DATABASE: "sqlite"}
    assert len(linked) >= 4
    assert together.parent == ""
    assert together.links == {each.place for each in linked}
    assert {each.links for each in linked} == {frozenset({together.place})}


@pytest.mark.parametrize(
    ("sampler", "recorded"),
    [
        (("always_off", 1.0), 0),
        (("parentbased_always_off", 1.0), 0),
        (("traceidratio", 0.0), 0),
        (("parentbased_traceidratio", 0.0), 0),
        (("parentbased_traceidratio", 1.0), 2),
        (("always_on", 0.0), 2),
        (("parentbased_always_on", 0.0), 2),
    ],
)
async def test_the_sampler_decides_what_is_recorded(
    broker: StreamBroker,
    redis_server: RedisServer,
    traced: Collector,
    sampler: tuple[str, float],
    recorded: int,
) -> None:
    """What is not recorded is carried so, for whoever handles it."""
    name, share = sampler
    chosen = settings(traced, otel_traces_sampler=name, otel_traces_sampler_arg=share)
    with tracing("tests", chosen):
        for number in range(2):
            await broker.publish_event(SAID, said(number))
    assert len(traced.spans()) == recorded
    flags = {is_recorded(entry["traceparent"]) for entry in entries(redis_server)}
    assert flags == {recorded > 0}


async def test_a_trace_that_is_not_recorded_has_no_span_below_its_first(
    broker: StreamBroker, redis_server: RedisServer, traced: Collector
) -> None:
    """What is published in it carries that one; the next update has a trace of its own."""
    carried: list[str] = []

    async def publish() -> None:
        carried.append(carrier()["traceparent"])
        await broker.publish_event(SAID, said(1))
        await broker.publish_events(SAID, [(None, said(2)), (None, said(3))])

    chosen = settings(traced, otel_traces_sampler_arg=0, otel_traces_sampler=RATIO)
    with tracing("tests", chosen):
        for update in ("1:1", "1:2"):
            await handling(None, update, publish)()
    first, second = carried
    assert [entry["traceparent"] for entry in entries(redis_server)] == [first] * 3 + [second] * 3
    assert first.split("-")[1] != second.split("-")[1]
    assert {is_recorded(each) for each in carried} == {False}


@pytest.mark.parametrize(
    ("sampler", "recorded"), [("parentbased_always_on", False), ("always_on", True), (RATIO, False)]
)
async def test_who_heeds_parents_records_nothing_of_what_a_publisher_does_not_record(
    broker: StreamBroker,
    redis_server: RedisServer,
    traced: Collector,
    sampler: str,
    *,
    recorded: bool,
) -> None:
    """And passes it on as it came; another sampler decides by itself, in the same trace."""
    event = json.dumps({"traceparent": NOT_RECORDED}).encode()
    chosen = settings(traced, otel_traces_sampler=sampler)
    with tracing("tests", chosen), processing("said", "g", "1:1", 1, event):
        await broker.publish_event(SAID, said(1))
    (entry,) = entries(redis_server)
    if not recorded:
        assert (entry["traceparent"], traced.spans()) == (NOT_RECORDED, [])
        return
    handled, sent = only(traced.spans("process said")), only(traced.spans("send said"))
    assert sent.place == (NOT_RECORDED.split("-")[1], sent.id)
    assert f"00-{handled.trace}-{handled.parent}-00" == NOT_RECORDED
    assert entry["traceparent"] == f"00-{sent.trace}-{sent.id}-01"
