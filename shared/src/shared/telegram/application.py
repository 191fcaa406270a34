"""Build a bot's application, run it until a signal, take it down in order."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import structlog
from telegram import BotCommand
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.ext import ApplicationBuilder, ContextTypes
from telegram.request import BaseRequest

from shared.generated.events import broker
from shared.metrics import catalogue, measure_at_scrape
from shared.process import (
    Backoff,
    Outage,
    run_process,
    serve_health,
    unless_stopped,
    until_it_works,
    until_one_ends,
)
from shared.settings import SettingsError
from shared.telegram.api.answers import check_identity
from shared.telegram.api.request import AiohttpRequest, seconds_asked
from shared.telegram.broker import close_broker, connect_broker, polling_lease, redis_health
from shared.telegram.context import Bot, Context
from shared.telegram.dialogs.steps import Dialogs, Persistence
from shared.telegram.replies.limits import Limits
from shared.telegram.replies.outbox import Outbox
from shared.telegram.replies.turns import Turns
from shared.telegram.settings import BotSettings
from shared.telegram.updates.dispatch import handle_replayed_updates
from shared.telegram.updates.flood import Flood, Quota
from shared.telegram.updates.lanes import Lanes
from shared.telegram.updates.moments import Moments
from shared.telegram.updates.polling import Poller
from shared.telegram.updates.receiving import Receiver
from shared.telegram.updates.state import PollState
from shared.telegram.updates.watch import Watch

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=BotSettings)
Assemble = Callable[[Bot[Any], S], AbstractAsyncContextManager[None]]
"""Gives a bot its handlers, and holds open what they need for as long as the bot runs."""

REPLY_CONNECTIONS = 32
REPLAY_GRACE = 3.0
"""Seconds that replayed updates get when the bot is stopped; others have had theirs."""
REPLY_GRACE = 2.0
"""Seconds that waiting replies get when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 30.0


def run_bot(
    service: str,
    model: type[S],
    assemble: Assemble[S],
    *,
    commands: Sequence[BotCommand] = (),
) -> int:
    """Run a bot as a process until SIGTERM or SIGINT; return its exit code.

    Args:
        service: its name, in its log lines, as the source of its events and as the group in which
            it handles replayed updates.
        model: its settings.
        assemble: gives it its handlers.
        commands: the menu that Telegram shows.

    Returns:
        0 when it was stopped, 1 when a consumer has ended by itself. Exits with 78 when a variable
        is missing or wrong, or Telegram does not know the token.
    """

    async def work(settings: S, stop: asyncio.Event) -> None:
        await run(service, settings, assemble, stop, commands)

    return run_process(service, model, work)


def build_application(
    service: str,
    settings: BotSettings,
    polling: BaseRequest | None = None,
) -> Bot[Any]:
    """Return an application without handlers; it has connected to nothing yet.

    Args:
        service: its name.
        settings: the bot's variables.
        polling: what getUpdates goes through; it is opened and closed with the application.
    """
    turns = Turns()
    builder = (
        ApplicationBuilder()
        .application_class(Bot)
        .token(settings.telegram_bot_token.get_secret_value())
        .base_url(f"{settings.telegram_api_url}/bot")
        .base_file_url(f"{settings.telegram_api_url}/file/bot")
        .request(AiohttpRequest(REPLY_CONNECTIONS))
        .get_updates_request(polling or AiohttpRequest(1))
        .rate_limiter(turns)
        .persistence(Persistence())
        .context_types(ContextTypes(context=Context))
        .updater(None)
        .job_queue(None)
    )
    application: Bot[Any] = builder.build()  # type: ignore[assignment]  # the class that was named
    application.name = service
    application.outbox = Outbox(application.bot, Limits(overall=settings.replies_per_second))
    turns.outbox = application.outbox
    quota = Quota(settings.messages_per_minute, settings.bytes_per_day)
    application.notices = {}
    application.dialogs = Dialogs(application)
    application.flood = Flood(quota, application.outbox, application.notices_for)
    application.lanes = Lanes()
    application.moments = Moments(str(application.bot.token).partition(":")[0])
    application.watch = Watch(settings.handler_timeout)
    return application


async def run(
    service: str,
    settings: S,
    assemble: Assemble[S],
    stop: asyncio.Event,
    commands: Sequence[BotCommand] = (),
) -> None:
    """Run a bot until it is to stop.

    Raises:
        SettingsError: a port cannot be used, or Telegram does not know the token.
        ConsumerStoppedError: the consumer of replayed updates has ended by itself.
    """
    polling = AiohttpRequest(1)
    application = build_application(service, settings, polling)
    state, moments = PollState(), application.moments.of
    measure_at_scrape("polling", state.measure, catalogue.POLL_AGE, catalogue.POLLS)
    measure_at_scrape("replies", application.outbox.measure, catalogue.REPLIES_WAITING)

    async def check() -> tuple[bool, dict[str, Any]]:
        writes, redis = await redis_health()
        return state.moves and writes, {**state.details, **redis}

    try:
        async with (
            serve_health(settings.health_port, check, host=settings.health_host, moments=moments),
            assemble(application, settings),
        ):
            try:
                if await unless_stopped(stop, post_init(application, settings, commands)):
                    log.info("bot started", username=application.bot.username)
                    state.ready = True
                    lease = await polling_lease(application.bot.id)
                    parts = (application, polling, state, lease)
                    source = Receiver(*parts, settings) if settings.webhook_url else Poller(*parts)
                    await until_one_ends(source.run(stop), broker.consumers_stopped())
            finally:
                await broker.stop_consumers(REPLAY_GRACE)
                await application.lanes.close()
    except InvalidToken:
        refused = "TELEGRAM_BOT_TOKEN is wrong: Telegram does not know it; get one from @BotFather"
        raise SettingsError(refused) from None
    finally:
        await post_shutdown(application)
        await polling.shutdown()


async def post_init(
    application: Bot[Any], settings: BotSettings, commands: Sequence[BotCommand]
) -> None:
    """Connect the broker, log in to Telegram, publish the command list."""
    application.dialogs.check()
    await connect_broker(settings.redis_url, application.name)
    await log_in(application)
    await application.start()
    handle_replayed_updates(application)
    await broker.start_consumers()
    await set_commands(application, commands)


async def set_commands(application: Bot[Any], commands: Sequence[BotCommand]) -> None:
    """Publish the command list; without it the bot works all the same."""
    try:
        await application.bot.set_my_commands(commands)
    except TelegramError as error:
        log.warning("command list not set", reason=error.message)


async def post_shutdown(application: Bot[Any]) -> None:
    """Send what waits, then close every connection."""
    await application.outbox.close(REPLY_GRACE)
    if application.running:
        await application.stop()
    await application.shutdown()
    await application.bot.request.shutdown()  # also where the log-in has failed
    await close_broker()


async def log_in(application: Bot[Any]) -> None:
    """Ask Telegram who the bot is; wait with backoff while Telegram cannot be reached."""

    async def ask() -> None:
        await _ask_who_it_is(application)

    await until_it_works(
        ask,
        Outage("waiting for Telegram", "Telegram answers"),
        lambda error: isinstance(error, TelegramError) and not isinstance(error, InvalidToken),
        backoff=Backoff(FIRST_BACKOFF, LAST_BACKOFF),
        asked=lambda error: seconds_asked(error) if isinstance(error, RetryAfter) else 0.0,
    )


async def _ask_who_it_is(application: Bot[Any]) -> None:
    """Make one getMe; raises TelegramError where its answer does not say who the bot is."""
    try:
        await application.initialize()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise TelegramError(
            f"getMe answered with what is no user: {type(error).__name__}"
        ) from None
    try:
        check_identity(application.bot.bot, application.bot.token)
    except TelegramError:
        await application.shutdown()  # or the next `initialize` would not ask again
        raise
