"""What a bot does in a chat: it writes, edits, deletes, and answers a pressed button."""

from dataclasses import replace

from telegram_sim.chats import PRIVATE, Chat, Message
from telegram_sim.errors import BadRequestError, ForbiddenError
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.serial import Json, encode
from telegram_sim.text import LONGEST_MESSAGE, find_entities, trimmed, utf16_length

MOST_BYTES = 1 << 15
LATEST_DELETION = 48 * 3600
ACTIONS = frozenset(
    {
        *("cancel", "typing", "record_video", "upload_video", "record_audio", "record_voice"),
        *("upload_audio", "upload_voice", "upload_photo", "upload_document", "choose_sticker"),
        *("pick_up_location", "find_location", "record_video_note", "upload_video_note"),
    }
)
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


async def send_message(call: Call) -> Result:
    """Write a text into a chat."""
    about = _text(call)
    chat = chat_of(call)
    simulator, bot = call.simulator, call.bot
    message_id = simulator.next_message_id(bot, chat)
    body = encode(
        {
            "message_id": message_id,
            "from": bot.user,
            "chat": chat.about,
            "date": simulator.clock.date(),
            **about,
        }
    )
    simulator.put(bot, chat, Message(message_id, from_bot=True, body=body))
    bot.profile.counts.sent += 1
    return Result(body)


async def edit_message_text(call: Call) -> Result:
    """Change the text of a message of the bot."""
    about = _text(call)
    chat, message = _message(call, "message to edit")
    if not message.from_bot:
        raise BadRequestError("message can't be edited")
    old = message.object()
    if old["text"] == about["text"] and old.get("entities") == about.get("entities"):
        raise BadRequestError(NOT_MODIFIED)
    kept = {name: value for name, value in old.items() if name not in {"text", "entities"}}
    body = encode({**kept, "edit_date": call.simulator.clock.date(), **about})
    call.simulator.put(call.bot, chat, replace(message, body=body), event="edited")
    call.bot.profile.counts.edited += 1
    call.bot.changed()
    return Result(body)


async def delete_message(call: Call) -> Result:
    """Remove a message from a chat."""
    if not call.parameters.text("chat_id"):
        raise BadRequestError("chat identifier is not specified")
    if not call.parameters.integer("message_id"):
        raise BadRequestError("message identifier is not specified")
    chat, message = _message(call, "message to delete")
    if chat.type != PRIVATE and not message.from_bot:
        raise BadRequestError("message can't be deleted")
    if message.object()["date"] < call.simulator.clock.date() - LATEST_DELETION:
        raise BadRequestError("message can't be deleted for everyone")
    call.simulator.remove(call.bot, chat, message.id)
    call.bot.profile.counts.deleted += 1
    call.bot.changed()
    return TRUE


async def send_chat_action(call: Call) -> Result:
    """Show what the bot is doing."""
    action = call.parameters.text("action").lower()
    if action not in ACTIONS:
        raise BadRequestError("wrong parameter action in request")
    chat = chat_of(call)
    call.simulator.tell(type="action", bot=call.bot.id, chat=chat.about, action=action)
    return TRUE


async def answer_callback_query(call: Call) -> Result:
    """Answer a pressed button."""
    del call
    raise BadRequestError("query is too old and response timeout expired or query ID is invalid")


async def get_chat(call: Call) -> Result:
    """Return what is known of a chat."""
    about = chat_of(call).about
    return Result(
        encode(
            {
                **about,
                "accepted_gift_types": {
                    "unlimited_gifts": False,
                    "limited_gifts": False,
                    "unique_gifts": False,
                    "premium_subscription": False,
                    "gifts_from_channels": False,
                },
                "max_reaction_count": 11,
                "accent_color_id": abs(about["id"]) % 7,
            }
        )
    )


def chat_of(call: Call) -> Chat:
    """Return the chat that a call names.

    Raises:
        BadRequestError: It names none, or one that the bot does not know.
        ForbiddenError: The user has blocked the bot.
    """
    text = call.parameters.text("chat_id")
    if not text:
        raise BadRequestError("chat_id is empty")
    if text.startswith("@"):
        chat = next(
            (
                chat
                for chat in call.bot.chats.values()
                if chat.type != PRIVATE
                and str(chat.about.get("username", "")).lower() == text[1:].lower()
            ),
            None,
        )
    else:
        chat = call.bot.chats.get(call.parameters.integer("chat_id"))
    if chat is None:
        raise BadRequestError("chat not found")
    if chat.blocked:
        raise ForbiddenError("bot was blocked by the user")
    return chat


def _message(call: Call, what: str) -> tuple[Chat, Message]:
    chat = chat_of(call)
    message = chat.messages.get(call.parameters.integer("message_id"))
    if message is None:
        raise BadRequestError(f"{what} not found")
    return chat, message


def _text(call: Call) -> Json:
    """Return the fields of a Message that a call's text makes."""
    text = call.parameters.string("text")
    if not text:
        raise BadRequestError("message text is empty")
    if len(text) > MOST_BYTES // 4 and len(text.encode()) > MOST_BYTES:
        raise BadRequestError("text is too long")
    text = trimmed(text)
    if not text:
        raise BadRequestError("text must be non-empty")
    if utf16_length(text) > LONGEST_MESSAGE:
        raise BadRequestError("message is too long")
    entities = find_entities(text)
    return {"text": text, "entities": entities} if entities else {"text": text}
