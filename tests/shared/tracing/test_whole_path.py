"""One trace from an answer of Telegram's to the row and the reply, across processes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.tracing import conventions
from telegram_sim.client import SimClient
from tests.collector import Collector
from tests.conditions import eventually
from tests.processes import Service, bot, health_of, url_of
from tests.servers import RedisServer, free_port

USER = 700_123_456
COMMAND = "/command a-secret-word"


def backend(redis: RedisServer, folder: Path, **variables: str) -> Service:
    """Return a backend with a database in a folder."""
    return Service(
        "backend",
        DATABASE_URL=f"sqlite+aiosqlite:///{folder / 'backend.db'}",
        REDIS_URL=redis.url,
        HTTP_PORT=str(free_port()),
        LOG_FORMAT="json",
        **variables,
    )


@pytest.fixture
def store(redis_server: RedisServer, tmp_path: Path, collector: Collector) -> Iterator[Service]:
    """A backend that traces, ready."""
    with backend(redis_server, tmp_path, **collector.variables) as running:
        ready(running)
        yield running


def ready(service: Service) -> None:
    """Wait until a backend is ready."""
    service.wait_for(f"http://127.0.0.1:{service.variables['HTTP_PORT']}/ready")


def lines(service: Service, event: str) -> list[dict[str, str]]:
    """Return the log lines of one event."""
    logged = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    return [line for line in logged if line["event"] == event]


def envelopes(redis: RedisServer) -> list[dict[str, str]]:
    """Return the events in the stream as they stand there."""
    entries = redis.client().xrange("command_received")
    return [json.loads(fields[b"__data__"]) for _, fields in entries]


def brought() -> dict[str, str]:
    """Return the variables of a bot to whom updates are brought."""
    port = str(free_port())
    address = f"http://127.0.0.1:{port}/updates"
    return {"WEBHOOK_URL": address, "WEBHOOK_HOST": "127.0.0.1", "WEBHOOK_PORT": port}


@pytest.mark.parametrize("webhook", [False, True], ids=["asked for", "brought"])
async def test_one_trace_from_telegram_to_the_row_and_the_reply(
    redis_server: RedisServer,
    telegram: SimClient,
    store: Service,
    collector: Collector,
    *,
    webhook: bool,
) -> None:
    """Each part is the child of the one that caused it, across processes; no span has a text."""
    running = bot(redis_server.url, telegram.base_url)
    running.variables |= collector.variables | (brought() if webhook else {})
    with running:
        running.wait_for(health_of(running))
        await telegram.write(COMMAND, user=USER)
        (stored,) = await eventually(collector.has(1, "transaction store_command"))
        (reply,) = await eventually(collector.has(1, "reply"))
        assert lines(store, "events handled")[0]["trace_id"] == stored.trace
        assert "trace_id" not in lines(store, "started")[0]
    chain = ["receive updates", "process updates", "send command_received"]
    chain += ["process command_received", "transaction store_command"]
    spans = {span.name: span for span in collector.spans()}
    assert {*chain, "reply"} == set(spans)
    assert {span.trace for span in spans.values()} == {stored.trace}
    parents = {name: spans[name].parent for name in chain}
    assert parents == dict(zip(chain, ["", *(spans[name].id for name in chain)], strict=False))
    assert reply.parent == spans["process updates"].id
    kinds = [(spans[name].service, spans[name].kind) for name in [*chain, "reply"]]
    assert kinds == [
        ("tg_bot", "CONSUMER"),
        ("tg_bot", "CONSUMER"),
        ("tg_bot", "PRODUCER"),
        ("backend", "CONSUMER"),
        ("backend", "CLIENT"),
        ("tg_bot", "CLIENT"),
    ]
    assert not any(span.failed or span.links for span in spans.values())
    (event,) = envelopes(redis_server)
    sent = spans["send command_received"]
    assert event["traceparent"].startswith(f"00-{sent.trace}-{sent.id}-0")
    assert sent.attributes == {
        conventions.SYSTEM: "redis",
        conventions.OPERATION: "send",
        conventions.OPERATION_TYPE: "send",
        conventions.DESTINATION: "command_received",
        conventions.MESSAGE_ID: event["id"],
    }
    assert stored.attributes == {conventions.DATABASE: "sqlite"}
    everything = b"".join(span.raw for span in collector.spans())
    for word in (b"secret", str(USER).encode()):
        assert word not in everything


async def test_without_a_collector_nothing_is_traced_or_imported(
    redis_server: RedisServer, sim: Service, telegram: SimClient, tmp_path: Path
) -> None:
    """No event carries anything of a trace, and nobody has imported what makes or sends spans.

    redis-py and FastAPI import OpenTelemetry's metrics by themselves where they are installed.
    """
    store = backend(redis_server, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="")
    running = bot(redis_server.url, url_of(sim))
    for service in (store, running):
        service.variables["PYTHONVERBOSE"] = "1"
    with store, running:
        ready(store)
        running.wait_for(health_of(running))
        await telegram.write(COMMAND, user=USER)
        await eventually(lambda: "events handled" in store.log)
        (event,) = envelopes(redis_server)
        assert {"traceparent", "tracestate"}.isdisjoint(event)
        for service in (store, running):
            assert "import 'shared.tracing'" in service.log
            for package in ("opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf"):
                assert f"import '{package}" not in service.log
            assert "import 'shared.tracing.spans'" not in service.log
            assert '"trace_id"' not in service.log


async def test_updates_of_one_answer_have_traces_of_their_own_that_link_to_it(
    redis_server: RedisServer, sim: Service, telegram: SimClient, collector: Collector
) -> None:
    """Each of them is somebody else's; a reply that Telegram refuses says with which error."""
    running = bot(redis_server.url, url_of(sim))
    running.variables |= collector.variables
    users = range(1, 6)
    count = len(users) + 1  # the block is an update, too
    for user in users:
        await telegram.write(f"/command {user}", user=user)
    await telegram.block(users[0])
    with running:
        replies = await eventually(collector.has(len(users), "reply"))
        await eventually(collector.has(count, "process updates"))
    received, *others = collector.spans("receive updates")
    handled = collector.spans("process updates")
    assert not others
    assert received.attributes[conventions.BATCH] == count
    assert [(span.parent, span.links) for span in handled] == [
        ("", frozenset({received.place}))
    ] * count
    assert len({span.trace for span in handled} | {received.trace}) == 1 + count
    for name in ("send command_received", "reply"):
        spans = collector.spans(name)
        assert len(spans) == len(users)
        assert {(span.trace, span.parent) for span in spans} < {span.place for span in handled}
    (refused,) = [span for span in replies if span.failed]
    assert refused.attributes[conventions.ERROR] == "Forbidden"
