"""Handing an update to the handlers, so that nothing is lost where one of them fails.

An update may be confirmed to Telegram when `handle` has returned: what its handlers published is
in the streams; or an event of it stands in its dead letters; or the update as a whole does, in
those of `telegram_update`, because it could not be parsed or a handler raised. In the last two
cases its sender has been told, or could not be within a time. That holds for every handler: it
may raise whatever it likes.

`Application.process_update` is not used: it gives what a handler raises to error handlers, and
then the update counts as handled.
"""

import asyncio
from typing import Any

import structlog
from pydantic import ValidationError
from telegram.error import TelegramError
from telegram.ext import ApplicationHandlerStop

from shared.generated.events import (
    Delivery,
    EventRefusedError,
    Limits,
    NotConnectedError,
    TooLateError,
    refuse_telegram_update,
    subscribe_telegram_update,
)
from shared.generated.schemas import TelegramUpdate
from shared.telegram.api.parsing import parse_update
from shared.telegram.context import Bot
from shared.telegram.updates.failures import HandlingError, chat_of, query_of, reason_of, where_of

log = structlog.get_logger(__name__)

FAILED = "Failed to send command."
KEPT = "Something went wrong on my side. Your message is kept, and somebody will look at it."
NOTICE_TIMEOUT = 60.0
"""Seconds that the confirmation of an update waits for its sender to be told of a refusal."""
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
        await _dispatch(application, raw)
    except EventRefusedError as refusal:
        log.warning("event refused", event_id=refusal.event_id, reason=refusal.reason)
        await _tell(application, raw, FAILED)
    except (NotConnectedError, TooLateError):
        raise
    except Exception as error:  # noqa: BLE001 — whatever a handler raises is kept
        kept = await keep(raw, event_id, reason_of(error, raw))
        log.error(  # noqa: TRY400 — a traceback's last line may hold the text of a message
            "update kept in the dead letters" if kept else "update not handled, Redis is full",
            event_id=event_id,
            error=type(error).__name__,
            where=where_of(error),
        )
        await _tell(application, raw, KEPT if kept else FAILED)


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
    single. What fails again is buried again.
    """

    @subscribe_telegram_update(group=application.name, limits=REPLAYS)
    async def handle_again(event: TelegramUpdate, delivery: Delivery) -> None:
        try:
            await _dispatch(application, event.update)
        except EventRefusedError as refusal:
            log.warning("event refused", event_id=refusal.event_id, reason=refusal.reason)
            await _tell(application, event.update, FAILED)
        except NotConnectedError:
            raise
        except Exception as error:  # noqa: BLE001 — as above
            log.error(  # noqa: TRY400 — as above
                "replayed update fails again",
                event_id=delivery.event_id,
                error=type(error).__name__,
                where=where_of(error),
            )
            raise HandlingError(reason_of(error, event.update)) from None


async def _dispatch(application: Bot[Any], raw: Any) -> None:
    """Let the first handler of each group that wants an update have it; raises what one raises."""
    update = parse_update(raw, application.bot)
    context = None
    for handlers in tuple(application.handlers.values()):
        for handler in tuple(handlers):
            check = handler.check_update(update)
            if check is None or check is False:
                continue
            if context is None:
                context = application.context_types.context.from_update(update, application)
            try:
                await handler.handle_update(update, application, check, context)
            except ApplicationHandlerStop:
                return
            break


async def _tell(application: Bot[Any], raw: Any, text: str) -> None:
    """Tell whoever caused an update what became of it; a button stops to spin."""
    chat, query = chat_of(raw), query_of(raw)
    outbox = application.outbox
    try:
        async with asyncio.timeout(NOTICE_TIMEOUT):
            if query is not None:
                await outbox.answer_query(query, text)
            if chat is not None and await outbox.tell(chat, text):
                return
    except (TimeoutError, TelegramError) as error:
        log.error("sender not told", chat=chat, reason=type(error).__name__)  # noqa: TRY400 — the line says it all
        return
    log.warning("sender not told", chat=chat, reason="no chat, or one that takes no message")
