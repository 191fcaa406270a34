"""What a bot does in a chat: it writes, edits, deletes, and answers a pressed button."""

from dataclasses import replace

from telegram_sim.api.errors import BadRequestError, FloodError, ForbiddenError
from telegram_sim.api.serial import Json, encode
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.methods.markup import read_markup
from telegram_sim.methods.text import read_text
from telegram_sim.world.chats import CHANNEL, PRIVATE, Chat, Message

LATEST_DELETION = 48 * 3600
ACTIONS = frozenset(
    {
        *("cancel", "typing", "record_video", "upload_video", "record_audio", "record_voice"),
        *("upload_audio", "upload_voice", "upload_photo", "upload_document", "choose_sticker"),
        *("pick_up_location", "find_location", "record_video_note", "upload_video_note"),
    }
)
REPLACED = frozenset({"text", "entities", "reply_markup", "edit_date"})
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


async def send_message(call: Call) -> Result:
    """Write a text into a chat."""
    text = read_text(call.parameters)
    inline, keyboard = read_markup(call.parameters)
    chat = chat_of(call)
    replied = _replied(call, chat)
    simulator, bot = call.simulator, call.bot
    _check_limits(call, chat)
    message_id = simulator.next_message_id(bot, chat)
    about: Json = {"message_id": message_id}
    if chat.type == CHANNEL:
        about["sender_chat"] = chat.about
    else:
        about["from"] = bot.user
    about.update(chat=chat.about, date=simulator.clock.date(), **replied, **text)
    if inline is not None:
        about["reply_markup"] = inline
    body = encode(about)
    extra = {"keyboard": keyboard} if keyboard else {}
    simulator.put(bot, chat, Message(message_id, from_bot=True, body=body, extra=extra))
    bot.profile.counts.sent += 1
    bot.changed()
    return Result(body)


async def edit_message_text(call: Call) -> Result:
    """Change the text of a message of the bot."""
    text = read_text(call.parameters)
    inline, _ = read_markup(call.parameters)
    chat, message = _message(call, "message to edit")
    if not message.from_bot:
        raise BadRequestError("message can't be edited")
    old = message.object()
    new = {name: value for name, value in old.items() if name not in REPLACED}
    new |= text if inline is None else {**text, "reply_markup": inline}
    if new == {name: value for name, value in old.items() if name != "edit_date"}:
        raise BadRequestError(NOT_MODIFIED)
    _check_limits(call, chat)
    body = encode({**new, "edit_date": call.simulator.clock.date()})
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
    parameters = call.parameters
    press = call.simulator.presses.answer(
        call.bot.id,
        parameters.text("callback_query_id"),
        text=parameters.string("text"),
        show_alert=parameters.flag("show_alert"),
        url=parameters.text("url"),
    )
    if press is None:
        raise BadRequestError(
            "query is too old and response timeout expired or query ID is invalid"
        )
    call.simulator.tell(type="answered", bot=call.bot.id, press=press.json())
    return TRUE


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
        ForbiddenError: The user has blocked the bot, or has never written to it.
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
    if chat.type == PRIVATE and not chat.last_message_id:
        raise ForbiddenError("bot can't initiate conversation with a user")
    if chat.blocked:
        raise ForbiddenError("bot was blocked by the user")
    return chat


def _message(call: Call, what: str) -> tuple[Chat, Message]:
    chat = chat_of(call)
    message = chat.messages.get(call.parameters.integer("message_id"))
    if message is None:
        raise BadRequestError(f"{what} not found")
    return chat, message


def _check_limits(call: Call, chat: Chat) -> None:
    try:
        call.simulator.limits.check(call.bot.id, chat)
    except FloodError:
        call.bot.profile.counts.limited += 1
        call.bot.changed()
        raise


def _replied(call: Call, chat: Chat) -> Json:
    """Return the field of a Message that tells which one it answers."""
    parameters = call.parameters
    given = parameters.json("reply_parameters", "reply parameters")
    if given is None:
        wanted = parameters.integer("reply_to_message_id")
        optional = parameters.flag("allow_sending_without_reply")
    elif isinstance(given, dict):
        wanted, optional = (
            given.get("message_id", 0),
            bool(given.get("allow_sending_without_reply")),
        )
    else:
        raise BadRequestError("object expected as reply parameters")
    if not wanted:
        return {}
    message = chat.messages.get(wanted)
    if message is not None:
        answered = message.object()
        answered.pop("reply_to_message", None)
        return {"reply_to_message": answered}
    if optional:
        return {}
    raise BadRequestError("message to be replied not found")
