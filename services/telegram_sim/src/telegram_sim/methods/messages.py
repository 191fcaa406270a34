"""What a bot writes into a chat."""

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.parameters import Parameters
from telegram_sim.api.serial import Json, encode
from telegram_sim.formatting.entities import utf16_length
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.methods.chats import chat_of, check_limits, message_of
from telegram_sim.methods.markup import read_markup
from telegram_sim.methods.photos import read_photo
from telegram_sim.methods.text import read_caption, read_text
from telegram_sim.world.chats import CHANNEL, PRIVATE, Chat, StoredMessage

LATEST_DELETION = 48 * 3600
PREVIEW_OPTIONS = (
    *("is_disabled", "url", "prefer_small_media", "prefer_large_media", "show_above_text"),
)


async def send_message(call: Call) -> Result:
    """Write a text into a chat."""
    return _send(call, read_text(call.parameters) | preview_options(call.parameters))


async def send_photo(call: Call) -> Result:
    """Put a photo into a chat."""
    parameters = call.parameters
    return _send(call, read_photo(call) | read_caption(parameters) | media_options(parameters))


async def delete_message(call: Call) -> Result:
    """Remove a message from a chat."""
    if not call.parameters.text("chat_id"):
        raise BadRequestError("chat identifier is not specified")
    if not call.parameters.integer("message_id"):
        raise BadRequestError("message identifier is not specified")
    chat, message = message_of(call, "message to delete")
    if chat.type != PRIVATE and not message.from_bot:
        raise BadRequestError("message can't be deleted")
    if message.object()["date"] < call.simulator.clock.date() - LATEST_DELETION:
        raise BadRequestError("message can't be deleted for everyone")
    call.simulator.remove(call.bot, chat, message.id)
    call.bot.profile.counts.deleted += 1
    call.bot.changed()
    return TRUE


def preview_options(parameters: Parameters) -> Json:
    """Return the field of a Message that tells how a link in its text is shown."""
    given = parameters.json("link_preview_options", "link preview options")
    if given is None:
        disabled = parameters.flag("disable_web_page_preview")
        return {"link_preview_options": {"is_disabled": True}} if disabled else {}
    if not isinstance(given, dict):
        raise BadRequestError("object expected as link preview options")
    options = {name: given[name] for name in PREVIEW_OPTIONS if given.get(name)}
    return {"link_preview_options": options} if options else {}


def media_options(parameters: Parameters) -> Json:
    """Return the fields of a Message that tell how its photo is shown."""
    names = {
        "show_caption_above_media": "show_caption_above_media",
        "has_spoiler": "has_media_spoiler",
    }
    return {field: True for name, field in names.items() if parameters.flag(name)}


def _send(call: Call, content: Json) -> Result:
    """Write something into the chat that a call names."""
    inline, keyboard = read_markup(call.parameters)
    chat = chat_of(call)
    replied = _replied(call, chat)
    simulator, bot = call.simulator, call.bot
    check_limits(call, chat)
    message_id = simulator.next_message_id(bot, chat)
    about: Json = {"message_id": message_id}
    if chat.type == CHANNEL:
        about["sender_chat"] = chat.about
    else:
        about["from"] = bot.user
    about.update(chat=chat.about, date=simulator.clock.date(), **replied, **content)
    if inline is not None:
        about["reply_markup"] = inline
    if call.parameters.flag("protect_content"):
        about["has_protected_content"] = True
    effect = call.parameters.text("message_effect_id")
    if chat.type == PRIVATE and effect.isdecimal():
        about["effect_id"] = effect
    body = encode(about)
    extra = {"keyboard": keyboard} if keyboard else {}
    simulator.put(bot, chat, StoredMessage(message_id, from_bot=True, body=body, extra=extra))
    bot.profile.counts.sent += 1
    bot.changed()
    return Result(body)


def _replied(call: Call, chat: Chat) -> Json:
    """Return the fields of a Message that tell which one it answers, and with what quote."""
    parameters = call.parameters
    given = parameters.json("reply_parameters", "reply parameters")
    if given is None:
        given = {
            "message_id": parameters.integer("reply_to_message_id"),
            "allow_sending_without_reply": parameters.flag("allow_sending_without_reply"),
        }
    elif not isinstance(given, dict):
        raise BadRequestError("object expected as reply parameters")
    if not given.get("message_id"):
        return {}
    message = chat.messages.get(given["message_id"])
    if message is None:
        if given.get("allow_sending_without_reply"):
            return {}
        raise BadRequestError("message to be replied not found")
    answered = message.object()
    answered.pop("reply_to_message", None)
    return {"reply_to_message": answered, **_quote(given.get("quote"), answered)}


def _quote(given: object, answered: Json) -> Json:
    """Return the field of a Message that quotes the one it answers."""
    if not given or not isinstance(given, str):
        return {}
    text = str(answered.get("text", answered.get("caption", "")))
    at = text.find(given)
    if at < 0:
        raise BadRequestError("QUOTE_TEXT_INVALID")
    return {"quote": {"text": given, "position": utf16_length(text[:at]), "is_manual": True}}
