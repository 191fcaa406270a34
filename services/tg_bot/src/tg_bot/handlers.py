"""The bot's commands, as plain python-telegram-bot handlers.

A handler that publishes awaits the publish: the update is confirmed to Telegram only after the
handler has returned. Replies go through the outbox and hold nothing back.
"""

import asyncio

import structlog
from pydantic import ValidationError
from telegram import BotCommand, Message, Update

from shared.generated.events import (
    EventRefused,
    Publication,
    publish_command_received,
    refuse_command_received,
)
from shared.generated.schemas import CommandReceived
from tg_bot.context import Context
from tg_bot.users import Registration

log = structlog.get_logger(__name__)

COMMANDS = (
    BotCommand("start", "Say hello and register"),
    BotCommand("help", "List the commands"),
    BotCommand("command", "Publish a command, for example: /command test arg1 arg2"),
)
HELP = "\n".join(
    ("Here is what I understand:", *(f"/{c.command} — {c.description}" for c in COMMANDS))
)
PUBLISHED = "Command published!"
FAILED = "Failed to send command."
DELAYED = "Your command is delayed. It is kept and will be published as soon as possible."
DELAY_NOTICE_AFTER = 3.0
"""Seconds without an answer from Redis after which a sender is told that it takes longer."""
REFUSAL_NOTICE_TIMEOUT = 60.0
"""Seconds that the confirmation of a refused command waits for its sender to be told."""


async def handle_start(update: Update, context: Context) -> None:
    """`/start`: register the user with the backend and greet."""
    message, user = update.message, update.effective_user
    if message is None or user is None:
        return
    registration = await context.bot_data.users.register(user)
    greeting = {
        Registration.NEW: f"Hello, {user.first_name}! You are registered.\n\n{HELP}",
        Registration.KNOWN: f"Welcome back, {user.first_name}!\n\n{HELP}",
        Registration.FAILED: "I cannot register you right now. Please try again later.",
    }
    context.bot_data.outbox.send(message.chat_id, greeting[registration])


async def handle_help(update: Update, context: Context) -> None:
    """`/help`, and every command that is not known: list the commands."""
    if update.message is not None:
        context.bot_data.outbox.send(update.message.chat_id, HELP)


async def handle_command(update: Update, context: Context) -> None:
    """`/command …`: publish the command; it is in the stream once when this returns."""
    message = update.message
    if message is None:
        return
    outbox, loop = context.bot_data.outbox, asyncio.get_running_loop()
    notice = loop.call_later(DELAY_NOTICE_AFTER, outbox.send, message.chat_id, DELAYED)
    try:
        publication = await _publish(update, message, context)
    except EventRefused as refusal:
        notice.cancel()
        log.warning("command refused", event_id=refusal.event_id, reason=refusal.reason)
        try:
            async with asyncio.timeout(REFUSAL_NOTICE_TIMEOUT):
                await outbox.tell(message.chat_id, FAILED)
        except TimeoutError:
            log.error("sender of a refused command not told", event_id=refusal.event_id)  # noqa: TRY400 — the line says it all
        return
    finally:
        notice.cancel()
    log.debug("command published", event_id=publication.event_id, entry=publication.entry_id)
    outbox.send(message.chat_id, PUBLISHED)


async def _publish(update: Update, message: Message, context: Context) -> Publication:
    """Publish the command of one message, or refuse what cannot be one."""
    event_id = f"{context.bot.id}:{update.update_id}"
    try:
        event = CommandReceived.model_validate(
            {
                "command": message.text,
                "args": context.args or [],
                "user_id": message.from_user and message.from_user.id,
                "timestamp": message.date,
            }
        )
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        reason = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in found)
        return await refuse_command_received(update.to_dict(), event_id=event_id, reason=reason)
    return await publish_command_received(event, event_id=event_id)


async def handle_error(update: object, context: Context) -> None:
    """Log what a handler raised, and tell the user; the update counts as handled."""
    update_id = update.update_id if isinstance(update, Update) else None
    log.error("handler raised", update=update_id, exc_info=context.error)
    if isinstance(update, Update) and update.message is not None:
        context.bot_data.outbox.send(update.message.chat_id, "Something went wrong on my side.")
