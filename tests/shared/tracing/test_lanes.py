"""A replayed update waits in the lane of its sender, and is done there by another task."""

import asyncio
from typing import Any

from telegram import Update
from telegram.ext import ApplicationHandlerStop, TypeHandler

from shared.generated.events import broker, publish_telegram_update
from shared.generated.schemas import TelegramUpdate
from shared.telegram import Bot
from shared.telegram.updates.dispatch import handle_replayed_updates
from shared.tracing import trace_id
from shared.tracing.life import tracing
from shared.tracing.settings import TraceSettings
from tests.collector import Collector
from tests.conditions import eventually
from tests.shared.telegram.test_dispatch import MESSAGE, application, telegram

SENDER = 7

__all__ = ["application", "telegram"]


async def test_what_waits_in_a_lane_is_done_in_its_own_trace(
    application: Bot[Any], traced: Collector
) -> None:
    """Not in that of the update whose task it is, which came before it."""
    leave, ids = asyncio.Event(), list[str | None]()

    async def note(update: Update, context: Any) -> None:
        del update, context
        ids.append(trace_id())
        raise ApplicationHandlerStop

    async def hold_the_lane() -> None:
        await leave.wait()

    application.add_handler(TypeHandler(Update, note), group=-1)
    handle_replayed_updates(application)
    lanes = application.lanes
    with tracing("tests", TraceSettings(otel_exporter_otlp_endpoint=traced.address)):
        await broker.start_consumers()
        try:
            lanes.put(SENDER, hold_the_lane)
            event = TelegramUpdate(update={"update_id": 5, "message": MESSAGE})
            await publish_telegram_update(event, event_id="42:5")
            await eventually(lambda: len(lanes._lanes[SENDER]) == 2)
            leave.set()
            await eventually(lambda: ids)
        finally:
            await broker.stop_consumers()
            for consumer in broker.consumers:
                broker._subscribers.discard(consumer)
    (sent,) = traced.spans("send telegram_update")
    assert ids == [sent.trace]
