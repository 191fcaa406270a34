"""Handing an update to the handlers, so that nothing is lost where one of them fails.

An update may be confirmed to Telegram when `handle` has returned: what its handlers published is
in the streams; or an event of it stands in its dead letters; or the update as a whole does, in
those of `telegram_update`, because it could not be parsed or a handler raised. In the last two
cases its sender has been told, or could not be within a time. Where Redis does not take an event
for some seconds, its sender is told that as well. That holds for every handler of any kind of
update: it may raise whatever it likes, also because something could be no event.

`Application.process_update` is not used: it gives what a handler raises to error handlers, and
then the update counts as handled.
"""

from functools import partial
from typing import Any

import structlog
from pydantic import ValidationError
from telegram import Update
from telegram.ext import ApplicationHandlerStop

from shared.generated import events
from shared.generated.events import (
    Delivery,
    EventRefusedError,
    Limits,
    NotConnectedError,
    TooLateError,
    broker,
    publisher_telegram_update,
    refuse_telegram_update,
    subscribe_telegram_update,
)
from shared.generated.schemas import TelegramUpdate
from shared.metrics import catalogue
from shared.streams import EventStream
from shared.telegram.api.parsing import parse_update
from shared.telegram.context import Bot
from shared.telegram.updates.failures import HandlingError, reason_of, where_of
from shared.telegram.updates.senders import sender_of
from shared.telegram.updates.telling import tell, tell_of_delay
from shared.telegram.updates.watch import Handling
from shared.tracing import carried, failed

log = structlog.get_logger(__name__)

STREAMS = {
    stream.model.__name__: stream
    for stream in vars(events).values()
    if isinstance(stream, EventStream)
}
"""The stream of each model of an event, by the model's name."""
REPLAYS = Limits(deliveries=3)
"""Handing over again what has failed before rarely needs many tries."""


async def handle(application: Bot[Any], raw: Any, event_id: str) -> None:
    """Let the handlers have one update, and return when what came of it is durable.

    Args:
        application: whose handlers they are.
        raw: the update as Telegram wrote it.
        event_id: the update's own, for the case that it has to be kept.

    Raises:
        NotConnectedError: the broker is closed; the update must not be confirmed.
        TooLateError: this process was away for so long that nobody knows whether an event of the
            update was published; it must not be confirmed, and nobody is told anything.
    """
    try:
        if await _attempt(application, raw, event_id):
            return
    except (NotConnectedError, TooLateError):
        raise
    except Exception as error:  # noqa: BLE001 — whatever a handler raises is kept
        failed(error)
        kept = await keep(raw, event_id, reason_of(error, raw))
        log.error(  # noqa: TRY400 — a traceback's last line may hold the text of a message
            "update kept in the dead letters" if kept else "update not handled, Redis is full",
            event_id=event_id,
            error=type(error).__name__,
            where=where_of(error),
        )
        catalogue.UPDATES.add("kept" if kept else "refused")
        notices = application.notices_for(raw)
        await tell(application, raw, notices.kept if kept else notices.refused)
    await application.dialogs.end(raw)


async def keep(raw: Any, event_id: str, reason: str) -> bool:
    """Put an update into the dead letters of `telegram_update`; that is durable on return.

    Returns:
        Whether it stands there as it was; a Redis that is full keeps the reason alone.
    """
    try:
        content: Any = TelegramUpdate(update=raw)
    except ValidationError:
        content = raw
    try:
        await refuse_telegram_update(content, event_id=event_id, reason=reason)
    except EventRefusedError as refusal:
        return refusal.kept
    return True


def handle_replayed_updates(application: Bot[Any]) -> None:
    """Have the handlers given what is replayed from the dead letters of `telegram_update`.

    An event that a handler had published before it raised has the same id again, so it stays
    single. What fails again is buried again. Updates of other bots are theirs to handle.
    """
    publisher_telegram_update()

    async def handle_again(raw: Any, event_id: str) -> None:
        try:
            await _attempt(application, raw, event_id, again=True)
        except NotConnectedError:
            raise
        except Exception as error:  # noqa: BLE001 — as above
            log.error(  # noqa: TRY400 — as above
                "replayed update fails again",
                event_id=event_id,
                error=type(error).__name__,
                where=where_of(error),
            )
            raise HandlingError(reason_of(error, raw)) from None

    @subscribe_telegram_update(group=application.name, limits=REPLAYS)
    async def in_its_lane(event: TelegramUpdate, delivery: Delivery) -> None:
        if not delivery.event_id.startswith(f"{application.bot.id}:"):
            return  # another bot's, which shares the stream
        work = carried(partial(handle_again, event.update, delivery.event_id))
        await application.lanes.run(sender_of(event.update), work)


async def _attempt(application: Bot[Any], raw: Any, event_id: str, *, again: bool = False) -> bool:
    """Let the handlers have an update; where an event of it was refused, its sender is told.

    Returns whether all of it went well; raises whatever else a handler raises.
    """
    try:
        try:
            await _dispatch(application, raw, event_id, again=again)
        except ValidationError as error:
            await _refuse(error, raw, event_id)
    except EventRefusedError as refusal:
        log.warning("event refused", event_id=refusal.event_id, reason=refusal.reason)
        catalogue.UPDATES.add("refused")
        await tell(application, raw, application.notices_for(raw).refused)
        return False
    catalogue.UPDATES.add("handled")
    return True


async def _refuse(error: ValidationError, raw: Any, event_id: str) -> None:
    """Refuse what a handler could make no event of; raise an error that is of no event's model."""
    stream = STREAMS.get(error.title)
    if stream is None:
        raise error
    faults = error.errors(include_input=False, include_url=False)
    reason = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)
    await broker.refuse_event(stream, raw, event_id=event_id, reason=reason)


async def _dispatch(application: Bot[Any], raw: Any, event_id: str, *, again: bool) -> None:
    """Let the first handler of each group that wants an update have it; raises what one raises."""
    update = parse_update(raw, application.bot)
    late = carried(partial(tell_of_delay, application, raw))
    async with Handling(application.watch, event_id, late) as handling:
        work = partial(_hand_over, application, update, handling)
        await application.dialogs.step(raw, update, work, again=again)


async def _hand_over(application: Bot[Any], update: Update, handling: Handling) -> None:
    """Let the first handler of each group that wants an update have it."""
    context = None
    for handlers in tuple(application.handlers.values()):
        for handler in tuple(handlers):
            check = handler.check_update(update)
            if check is None or check is False:
                continue
            if context is None:
                context = application.context_types.context.from_update(update, application)
            handling.handler = handler
            try:
                await handler.handle_update(update, application, check, context)
            except ApplicationHandlerStop:
                return
            break
