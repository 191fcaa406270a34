"""Our publishers are FastStream's: middlewares, decorators, its test broker, applications."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faststream import BaseMiddleware
from faststream.redis import TestRedisBroker

from shared.streams import Delivery, EventRefusedError, EventStream, StreamBroker
from shared.streams.event.format import CloudEventsFormat
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.members import FAST, pending
from tests.shared.said import SAID, Said, said

ROOT = Path(__file__).resolve().parents[2]
ANSWERED = EventStream(name="answered", model=Said)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced(BaseMiddleware):
    """A middleware that adds what a tracer adds, and notes what passes."""

    passed: list[Any] = []  # noqa: RUF012 — FastStream makes one for each message

    async def publish_scope(self, call_next: Any, cmd: Any) -> Any:
        """Note the event, and add the header."""
        self.passed.append(cmd.body)
        cmd.headers["traceparent"] = TRACE
        return await call_next(cmd)


@pytest.fixture
def traced(broker: StreamBroker) -> StreamBroker:
    """A broker with a middleware."""
    Traced.passed = []
    broker.add_middleware(Traced)
    return broker


def entries(server: RedisServer, stream: str = "said") -> list[dict[str, Any]]:
    """Return the envelopes in a stream."""
    return [json.loads(fields[b"__data__"]) for _, fields in server.client().xrange(stream)]


async def test_a_publish_passes_through_middlewares_and_stays_idempotent(
    traced: StreamBroker, redis_server: RedisServer
) -> None:
    """What they add is an attribute of the event; the id decides as without them."""
    first = await traced.publish_event(SAID, said(1), event_id="a")
    again = await traced.publish_event(SAID, said(1), event_id="a")
    assert (again.entry_id, first.duplicate, again.duplicate) == (first.entry_id, False, True)
    assert Traced.passed == [said(1), said(1)]
    (entry,) = entries(redis_server)
    assert (entry["traceparent"], entry["id"], entry["source"]) == (TRACE, "a", "/tests")
    assert entry["type"] == "said"


async def test_publishes_through_middlewares_keep_their_order(
    traced: StreamBroker, redis_server: RedisServer
) -> None:
    """Those that are made at the same time stand in the order in which they were made."""
    await asyncio.gather(*(traced.publish_event(SAID, said(n)) for n in range(50)))
    assert [entry["data"]["number"] for entry in entries(redis_server)] == [*range(50)]


async def test_what_json_cannot_hold_is_refused_behind_middlewares_too(
    traced: StreamBroker, redis_server: RedisServer
) -> None:
    """It stands in the dead letters, and its id stays refused."""
    with pytest.raises(EventRefusedError):
        await traced.publish_event(SAID, said(1, "\ud800"), event_id="bad")
    with pytest.raises(EventRefusedError):
        await traced.publish_event(SAID, said(1), event_id="bad")
    assert entries(redis_server) == []
    assert redis_server.client().xlen(SAID.dead_letters) == 1


async def test_a_registered_publisher_takes_headers(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Extension attributes of CloudEvents go with the event."""
    publisher = broker.publisher_of(SAID)
    await publisher.publish(said(1), event_id="a", headers={"traceparent": TRACE})
    assert (await publisher.publish(said(1), event_id="a")).duplicate
    assert [entry["traceparent"] for entry in entries(redis_server)] == [TRACE]


async def test_what_a_handler_returns_is_published_once(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """However often it is called for an event; each group has an answer of its own."""
    member, calls, left = StreamBroker(), [], [3]

    class Fails(BaseMiddleware):
        async def publish_scope(self, call_next: Any, cmd: Any) -> Any:
            await call_next(cmd)
            left[0] -= 1
            if left[0] >= 0:
                raise ValueError("after it was published")

    async def answer(event: Said, delivery: Delivery) -> Said | None:
        calls.append((event.number, delivery.attempt))
        return said(event.number * 10) if event.number > 1 else None

    async def other(event: Said, delivery: Delivery) -> Said | None:
        return await answer(event, delivery)

    member.add_middleware(Fails)
    for group, handler in (("one", answer), ("other", other)):
        member.publisher_of(ANSWERED)(
            member.subscribe_event(SAID, group=group, limits=FAST)(handler)
        )
    for number in (1, 2):
        await broker.publish_event(SAID, said(number))
    await member.connect(redis_server.url, source="/member")
    await member.start_consumers()
    await eventually(lambda: left[0] == -2)
    await eventually(lambda: not pending(redis_server, "one") + pending(redis_server, "other"))
    assert len(calls) == 2 + 2 + 3  # both groups, both events, three times in vain
    assert [entry["data"]["number"] for entry in entries(redis_server, "answered")] == [20, 20]
    await member.close()


async def test_a_publisher_of_faststreams_own_starts(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """`broker.publisher(stream=…)`, which has a model of its own or none, publishes as well."""
    publisher = broker.publisher(stream="free")
    await broker.start()
    await publisher.publish({"n": 1}, correlation_id="a")
    await publisher.publish({"n": 1}, correlation_id="a")
    assert [entry["data"] for entry in entries(redis_server, "free")] == [{"n": 1}]


@pytest.mark.parametrize(
    "body", [None, b"", "", "text", "привет", b"\xff\x00", [1, 2], {"a": 1}, 5]
)
async def test_every_body_can_be_written_and_read(body: Any, broker: StreamBroker) -> None:
    """Text, nothing, bytes that are no text: whatever FastStream can send."""
    raw = await CloudEventsFormat.encode(
        message=body, reply_to=None, headers={"traceparent": TRACE}, correlation_id="c"
    )
    read, headers = CloudEventsFormat.parse(raw)
    assert headers["traceparent"] == TRACE
    if isinstance(body, bytes):
        assert read in {body, b"null"}
    else:
        assert json.loads(read) == body


async def test_the_test_broker_needs_no_redis(redis_server: RedisServer) -> None:
    """Handlers are called at once, publishers note what passes; afterwards Redis is real again."""
    broker = StreamBroker()
    publisher = broker.publisher_of(ANSWERED)

    @publisher
    @broker.subscribe_event(SAID, group="g")
    async def handle(event: Said, delivery: Delivery) -> Said:
        return said(event.number * 10, delivery.event_id)

    async with TestRedisBroker(broker):
        publication = await broker.publish_event(SAID, said(1), event_id="a")
        assert (publication.event_id, publication.duplicate) == ("a", False)
        handle.mock.assert_called_once_with(said(1))
        publisher.mock.assert_called_once_with(said(10, "a").model_dump(mode="json"))

    await broker.connect(redis_server.url)
    assert not (await broker.publish_event(SAID, said(1), event_id="a")).duplicate
    assert len(entries(redis_server)) == 1
    await broker.close()


APP = """
import asyncio, sys
from faststream import FastStream
from faststream.exceptions import StopConsume
from shared.streams import Delivery, Limits, StreamBroker
from tests.shared.said import SAID, Said
broker = StreamBroker()
app = FastStream(broker, logger=None)
@app.on_startup
async def connect() -> None:
    await broker.connect(sys.argv[1], source="/app")
@broker.subscribe_event(SAID, group="g", limits=Limits(block=0.1))
async def handle(event: Said) -> None:
    if event.number < 0:
        raise StopConsume
    print("began", flush=True)
    await asyncio.sleep(1)
    print("ended", flush=True)
asyncio.run(app.run())
"""


@pytest.fixture
def app(redis_server: RedisServer) -> Any:
    """Return an application of FastStream that handles events, as a process."""
    command = (sys.executable, "-c", APP, redis_server.url)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_an_application_drains_when_it_is_told_to_end(
    app: "subprocess.Popen[str]", broker: StreamBroker, redis_server: RedisServer
) -> None:
    """SIGTERM lets the handler finish, its entry is acknowledged, and the exit code is 0."""
    assert app.stdout is not None
    await broker.publish_event(SAID, said(1))
    assert "began\n" in iter(app.stdout.readline, "")
    os.kill(app.pid, signal.SIGTERM)
    assert "ended\n" in iter(app.stdout.readline, "")
    assert await asyncio.to_thread(app.wait, 30) == 0
    assert pending(redis_server) == 0


async def test_an_application_whose_consumer_ends_fails(
    app: "subprocess.Popen[str]", broker: StreamBroker
) -> None:
    """FastStream's own would end with 0, and nothing would start it again."""
    await broker.publish_event(SAID, said(-1))
    assert await asyncio.to_thread(app.wait, 60) not in {0, None}
