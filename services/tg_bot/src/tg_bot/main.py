"""Build the application, run it until a signal, take it down in order."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

import structlog
from telegram.error import InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)
from telegram.request import BaseRequest

from shared.logs import configure_logging, hide
from shared.settings import SettingsError, exit_with, load_settings
from tg_bot.broker import close_broker, connect_broker, polling_lease
from tg_bot.context import BotData, Context
from tg_bot.flood import Flood, Quota
from tg_bot.handlers import COMMANDS, handle_command, handle_error, handle_help, handle_start
from tg_bot.health import Health
from tg_bot.outbox import Limits, Outbox
from tg_bot.polling import Poller, PollState
from tg_bot.request import AiohttpRequest
from tg_bot.settings import Settings
from tg_bot.users import Users

log = structlog.get_logger(__name__)

REPLY_CONNECTIONS = 32
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
    messages = filters.UpdateType.MESSAGE
    application.add_handler(CommandHandler("start", handle_start, messages))
    application.add_handler(CommandHandler("help", handle_help, messages))
    application.add_handler(CommandHandler("command", handle_command, messages))
    application.add_handler(MessageHandler(filters.COMMAND & messages, handle_help))
    application.add_error_handler(handle_error)
    return application


async def post_init(application: Bot, settings: Settings) -> None:
    """Connect the broker, log in to Telegram, publish the command list."""
    await connect_broker(settings.redis_url)
    await _log_in(application)
    await application.start()
    try:
        await application.bot.set_my_commands(COMMANDS)
    except TelegramError as error:
        log.warning("command list not set", reason=error.message)


async def post_shutdown(application: Bot) -> None:
    """Send the replies that wait, then close every connection."""
    await application.bot_data.outbox.close(REPLY_GRACE)
    if application.running:
        await application.stop()
    await application.shutdown()
    await application.bot.request.shutdown()  # also where the log-in has failed
    await application.bot_data.users.close()
    await close_broker()


async def run(settings: Settings) -> None:
    """Run the bot until SIGTERM or SIGINT.

    Raises:
        InvalidToken: Telegram does not know the token.
        SettingsError: the health port cannot be used.
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
            await Poller(application, polling, state, lease).run(stop)
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
            await application.initialize()
        except InvalidToken:
            raise
        except (NetworkError, RetryAfter) as error:
            if error.message != reason:
                reason = error.message
                log.warning("waiting for Telegram", reason=reason)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_BACKOFF)
        else:
            return


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
    raise SystemExit(os.EX_OK)
