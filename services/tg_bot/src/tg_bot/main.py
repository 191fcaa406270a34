"""Build the application, run it until a signal, take it down in order."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

import structlog
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.ext import (
    Application,
    ApplicationBuilder,
    ContextTypes,
    MessageHandler,
)
from telegram.ext.filters import UpdateType
from telegram.request import BaseRequest

from shared.generated.events import ConsumerStoppedError
from shared.logs import configure_logging, hide
from shared.settings import SettingsError, exit_with, load_settings
from tg_bot.answers import check_identity
from tg_bot.broker import (
    close_broker,
    connect_broker,
    consumers_stopped,
    polling_lease,
    start_consumers,
    stop_consumers,
)
from tg_bot.commands import SHOWS_COMMAND, WANTS_ANSWER, ShownCommand
from tg_bot.context import BotData, Context
from tg_bot.dispatch import handle_replayed_updates
from tg_bot.flood import Flood, Quota
from tg_bot.handlers import COMMANDS, handle_command, handle_edit, handle_help, handle_start
from tg_bot.health import Health
from tg_bot.outbox import Limits, Outbox
from tg_bot.polling import Poller, PollState
from tg_bot.request import AiohttpRequest, seconds_asked
from tg_bot.settings import Settings
from tg_bot.users import Users

log = structlog.get_logger(__name__)

REPLY_CONNECTIONS = 32
REPLAY_GRACE = 3.0
"""Seconds that replayed updates get when the bot is stopped; others have had theirs."""
REGISTRATION_GRACE = 1.0
"""Seconds that registrations get when the bot is stopped."""
REPLY_GRACE = 2.0
"""Seconds that waiting replies get when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 30.0

Bot = Application[Any, Context, dict[Any, Any], dict[Any, Any], BotData, None]


def build_application(settings: Settings, polling: BaseRequest | None = None) -> Bot:
    """Return the application with its handlers; it has connected to nothing yet.

    Args:
        settings: the bot's variables.
        polling: what getUpdates goes through; it is opened and closed with the application.
    """
    builder = (
        ApplicationBuilder()
        .token(settings.telegram_bot_token.get_secret_value())
        .base_url(f"{settings.telegram_api_url}/bot")
        .base_file_url(f"{settings.telegram_api_url}/file/bot")
        .request(AiohttpRequest(REPLY_CONNECTIONS))
        .get_updates_request(polling or AiohttpRequest(1))
        .context_types(ContextTypes(bot_data=BotData))
        .updater(None)
        .job_queue(None)
    )
    application = builder.build()
    application.bot_data.users = Users(settings.api_base_url)
    application.bot_data.outbox = Outbox(
        application.bot, Limits(overall=settings.replies_per_second)
    )
    quota = Quota(settings.messages_per_minute, settings.bytes_per_day)
    application.bot_data.flood = Flood(quota, application.bot_data.outbox)
    application.add_handler(ShownCommand("command", handle_command))
    application.add_handler(ShownCommand("start", handle_start))
    application.add_handler(ShownCommand("help", handle_help))
    application.add_handler(MessageHandler(UpdateType.MESSAGE & WANTS_ANSWER, handle_help))
    application.add_handler(MessageHandler(UpdateType.EDITED_MESSAGE & SHOWS_COMMAND, handle_edit))
    return application


async def post_init(application: Bot, settings: Settings) -> None:
    """Connect the broker, log in to Telegram, publish the command list."""
    await connect_broker(settings.redis_url)
    await _log_in(application)
    await application.start()
    handle_replayed_updates(application)
    await start_consumers()
    await set_commands(application)


async def set_commands(application: Bot) -> None:
    """Publish the command list; without it the bot works all the same."""
    try:
        await application.bot.set_my_commands(COMMANDS)
    except TelegramError as error:
        log.warning("command list not set", reason=error.message)


async def post_shutdown(application: Bot) -> None:
    """Answer whoever waits, then close every connection."""
    await stop_consumers(REPLAY_GRACE)
    await application.bot_data.users.close(REGISTRATION_GRACE)
    await application.bot_data.outbox.close(REPLY_GRACE)
    if application.running:
        await application.stop()
    await application.shutdown()
    await application.bot.request.shutdown()  # also where the log-in has failed
    await close_broker()


async def run(settings: Settings) -> None:
    """Run the bot until SIGTERM or SIGINT.

    Raises:
        InvalidToken: Telegram does not know the token.
        SettingsError: the health port cannot be used.
        ConsumerStoppedError: the consumer of replayed updates has ended by itself.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    polling = AiohttpRequest(1)
    application = build_application(settings, polling)
    state = PollState()
    health = Health(state)
    try:
        await health.start(settings.health_host, settings.health_port)
    except OSError as error:
        taken = f"HEALTH_PORT is {settings.health_port}, which cannot be used: {error.strerror}"
        raise SettingsError(taken) from None
    try:
        if await _unless_stopped(stop, post_init(application, settings)):
            log.info("bot started", username=application.bot.username)
            state.ready = True
            lease = await polling_lease(application.bot.id)
            await _until_one_ends(
                Poller(application, polling, state, lease).run(stop), consumers_stopped()
            )
    finally:
        await health.stop()
        await post_shutdown(application)
        await polling.shutdown()
        log.info("bot stopped")


async def _log_in(application: Bot) -> None:
    """Ask Telegram who the bot is; wait with backoff while Telegram cannot be reached."""
    delay, reason = FIRST_BACKOFF, None
    while True:
        try:
            await _ask_who_it_is(application)
        except InvalidToken:
            raise
        except TelegramError as error:
            if error.message != reason:
                reason = error.message
                log.warning("waiting for Telegram", reason=reason)
            asked = seconds_asked(error) if isinstance(error, RetryAfter) else 0.0
            await asyncio.sleep(max(delay, asked))
            delay = min(delay * 2, LAST_BACKOFF)
        else:
            return


async def _ask_who_it_is(application: Bot) -> None:
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


async def _until_one_ends(
    polling: Coroutine[Any, Any, None], consuming: Coroutine[Any, Any, None]
) -> None:
    """Run both until one ends; what it raised is raised, and the other one is given up."""
    tasks = [
        asyncio.create_task(polling, name="poll"),
        asyncio.create_task(consuming, name="consumers"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work to its end and return True, or give it up and return False when stopped."""
    stopping = asyncio.create_task(stop.wait(), name="wait for stop")
    working = asyncio.create_task(work, name="start")
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        for task in (stopping, working):
            task.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)


def main() -> NoReturn:
    """Run the bot as a process; exits with 0 when stopped and 78 when it cannot be configured."""
    try:
        settings = load_settings(Settings)
    except SettingsError as error:
        exit_with(error, "tg_bot")
    hide(settings.telegram_bot_token.get_secret_value())
    configure_logging("tg_bot", level=settings.log_level, format=settings.log_format)
    try:
        asyncio.run(run(settings))
    except InvalidToken:
        refused = "TELEGRAM_BOT_TOKEN is wrong: Telegram does not know it; get one from @BotFather"
        exit_with(SettingsError(refused), "tg_bot")
    except SettingsError as error:
        exit_with(error, "tg_bot")
    except ConsumerStoppedError as error:
        log.error("the subscriber stopped by itself", reason=str(error))  # noqa: TRY400 — the line says it all
        raise SystemExit(1) from None
    raise SystemExit(os.EX_OK)
