"""The bot's commands, as plain python-telegram-bot handlers.

A handler that publishes awaits the publish: the update is confirmed to Telegram only after the
handler has returned. What a handler raises is seen to by `shared.telegram.updates.dispatch`, for
all of them alike. Replies go through the outbox and hold nothing back.
"""

from dataclasses import dataclass

from telegram import BotCommand, Update

from shared.generated.events import publish_command_received, publisher_command_received
from shared.generated.schemas import CommandReceived, UserCreate
from shared.telegram import Context as AnyContext
from shared.telegram import Notices, shown_text
from tg_bot.users import Registration, Users

publisher_command_received()  # names the event in this service's AsyncAPI document

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
NOTICES = {
    "": Notices(
        refused="Failed to send command.",
        delayed="Your command is delayed. It is kept and will be published as soon as possible.",
    )
}
"""What the runtime says where a command cannot be published, or not yet; by language."""


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
    if registration is Registration.UNASKED:
        return f"Hello, {name}!\n\n{HELP}"
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
    """`/command …`: publish the command; it is in the stream once when this has published it."""
    message = update.message
    if message is None:
        return
    event = CommandReceived.model_validate(
        {
            "command": shown_text(message),
            "args": context.args,
            "user_id": message.from_user and message.from_user.id,
            "timestamp": message.date,
        }
    )
    await publish_command_received(event, event_id=context.event_id)
    context.outbox.send(message.chat_id, PUBLISHED)
