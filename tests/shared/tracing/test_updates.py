"""Work that goes from task to task stays in the trace of the update that it is for."""

import asyncio
import sys

from shared.tracing import conventions, handling, sending, trace_id
from shared.tracing.life import tracing
from shared.tracing.settings import TraceSettings
from telegram_sim.client import SimClient
from tests.collector import Collector
from tests.conditions import eventually
from tests.processes import Service, health_of, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot
from tests.shared.telegram.test_odd_updates import FAILING_BOT, TEXT, listed, replay
from tests.shared.tracing.test_whole_path import lines

ADA, BOB = 7, 8


async def test_what_is_replayed_goes_on_in_the_trace_of_its_update(
    redis_server: RedisServer, sim: Service, telegram: SimClient, collector: Collector
) -> None:
    """The dead letter carries it; what the handler publishes is below its new attempt."""
    failing = bot(redis_server.url, url_of(sim))
    failing.variables |= collector.variables
    with failing:
        failing.kill()
        failing.start(sys.executable, *FAILING_BOT)
        failing.wait_for(health_of(failing))
        await telegram.write(f"/command {TEXT}", user=ADA)
        (letter,) = await eventually(lambda: listed(redis_server))
        replay(redis_server, letter["id"])
        tries = await eventually(collector.has(3, "process telegram_update"))
        (line, *_) = lines(failing, "replayed update fails again")
    (first,) = collector.spans("process updates")
    assert {(span.trace, span.parent) for span in tries} == {first.place}
    assert line["trace_id"] == first.trace
    sent = [span.parent for span in collector.spans("send command_received")]
    assert sorted(sent) == sorted([first.id, *(span.id for span in tries)])
    assert (first.failed, first.attributes[conventions.ERROR]) == (True, "ValueError")
    assert not any(TEXT.split()[0].encode() in span.raw for span in collector.spans())


async def test_who_is_told_of_a_delay_is_told_in_the_trace_of_the_update(
    redis_server: RedisServer, sim: Service, telegram: SimClient, collector: Collector
) -> None:
    """One look sees to the updates of all; what it begins belongs to each of them."""
    running = bot(redis_server.url, url_of(sim))
    running.variables |= collector.variables
    with running:
        running.wait_for(health_of(running))
        await eventually(lambda: lines(running, "polling"))
        redis_server.kill()
        for user in (ADA, BOB):
            await telegram.write("/command", user=user)
        for user in (ADA, BOB):
            assert "delayed" in (await telegram.wait_for_answer(user, timeout=30)).text
        redis_server.start()
        replies = await eventually(collector.has(4, "reply"), seconds=60)
        updates = await eventually(collector.has(2, "process updates"))
    for update in updates:
        assert [(span.trace, span.parent) for span in replies].count(update.place) == 2


async def test_a_task_that_outlives_its_span_logs_no_trace(traced: Collector) -> None:
    """What a publish has begun, such as tidying, goes on for hours and is nobody's then."""
    over = asyncio.Event()
    ids: list[str | None] = []

    async def goes_on() -> None:
        ids.append(trace_id())
        await over.wait()
        ids.append(trace_id())

    async def update() -> "asyncio.Task[None]":
        task = asyncio.create_task(goes_on())
        await asyncio.sleep(0)
        return task

    with tracing("tests", TraceSettings(otel_exporter_otlp_endpoint=traced.address)):
        task = await handling(None, "1:1", update)()
        over.set()
        await task
        with sending("said", event_id="1:1"):
            ids.append(trace_id())
    (span,), (other,) = traced.spans("process updates"), traced.spans("send said")
    assert ids == [span.trace, None, other.trace]
