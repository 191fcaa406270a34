"""The bot's commands, as plain python-telegram-bot handlers.

A handler that publishes awaits the publish: the update is confirmed to Telegram only after the
handler has returned. What a handler raises is seen to by `tg_bot.dispatch`, for all of them alike.
Replies go through the outbox and hold nothing back.
"""

import asyncio
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from telegram import BotCommand, Message, Update

from shared.generated.events import (
    Publication,
    publish_command_received,
    refuse_command_received,
)
from shared.generated.schemas import CommandReceived, UserCreate
from shared.telegram import Context as AnyContext
from shared.telegram import shown_text
from tg_bot.users import Registration, Users

log = structlog.get_logger(__name__)

COMMANDS = (
    BotCommand("start", "Say hello and register"),
    BotCommand("help", "List the commands"),
    BotCommand("command", "Publish a command, for example: /command test arg1 arg2"),
)
HELP = "\n".join(
    ("Here is what I understand:", *(f"/{c.command} — {c.description}" for c in COMMANDS))
)
UNREGISTERED = "I cannot register you right now. Please try again later."
EDITED = "I do not carry out what is edited. Please send it as a new message."
PUBLISHED = "Command published!"
DELAYED = "Your command is delayed. It is kept and will be published as soon as possible."
DELAY_NOTICE_AFTER = 3.0
"""Seconds without an answer from Redis after which a sender is told that it takes longer."""


@dataclass(frozen=True, slots=True)
class BotData:
    """What handlers share: `context.bot_data`."""

    users: Users


Context = AnyContext[BotData]


async def handle_start(update: Update, context: Context) -> None:
    """`/start`: register the user with the backend in the background, and greet afterwards."""
    message, user = update.message, update.effective_user
    if message is None:
        return
    outbox, chat = context.outbox, message.chat_id
    if user is None:
        outbox.send(chat, UNREGISTERED)
        return
    name = user.first_name

    def greet(registration: Registration) -> None:
        outbox.send(chat, greeting(registration, name))

    context.bot_data.users.register(
        UserCreate(
            id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            username=user.username,
            language_code=user.language_code,
        ),
        greet,
    )


def greeting(registration: Registration, name: str) -> str:
    """Return what a user is told who wrote `/start`."""
    if registration is Registration.NEW:
        return f"Hello, {name}! You are registered.\n\n{HELP}"
    if registration is Registration.KNOWN:
        return f"Welcome back, {name}!\n\n{HELP}"
    return UNREGISTERED


async def handle_help(update: Update, context: Context) -> None:
    """`/help`, and every other message that wants an answer: list the commands."""
    if update.message is not None:
        context.outbox.send(update.message.chat_id, HELP)


async def handle_edit(update: Update, context: Context) -> None:
    """Say that a command that was edited into a message is not carried out."""
    if update.edited_message is not None:
        context.outbox.send(update.edited_message.chat_id, EDITED)


async def handle_command(update: Update, context: Context) -> None:
    """`/command …`: publish the command; it is in the stream once when this returns.

    Raises:
        EventRefusedError: it can be no event; it is in the dead letters.
    """
    message = update.message
    if message is None:
        return
    outbox, loop = context.outbox, asyncio.get_running_loop()
    notice = loop.call_later(DELAY_NOTICE_AFTER, outbox.send, message.chat_id, DELAYED)
    try:
        publication = await _publish(update, message, context)
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
                "command": shown_text(message),
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
