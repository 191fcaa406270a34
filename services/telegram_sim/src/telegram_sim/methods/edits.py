"""What a bot changes in its messages."""

from collections.abc import Callable
from dataclasses import replace

from telegram_sim.api.errors import BadRequestError, NotSimulatedError
from telegram_sim.api.parameters import Parameters, as_parameters
from telegram_sim.api.serial import Json, encode
from telegram_sim.methods.call import Call, Result
from telegram_sim.methods.chats import check_limits, message_of
from telegram_sim.methods.markup import read_markup
from telegram_sim.methods.messages import media_options, preview_options
from telegram_sim.methods.photos import read_photo
from telegram_sim.methods.text import read_caption, read_text

TEXT = frozenset({"text", "entities", "link_preview_options"})
CAPTION = frozenset({"caption", "caption_entities", "show_caption_above_media"})
MEDIA = CAPTION | TEXT | {"photo", "has_media_spoiler"}
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


async def edit_message_text(call: Call) -> Result:
    """Change the text of a message of the bot."""
    text = read_text(call.parameters) | preview_options(call.parameters)
    return _edit(call, TEXT, lambda old: text if "text" in old else _missing("text"))


async def edit_message_caption(call: Call) -> Result:
    """Change the caption of a photo of the bot."""
    caption = read_caption(call.parameters)
    caption |= media_options(call.parameters) if caption else {}
    caption.pop("has_media_spoiler", None)
    return _edit(call, CAPTION, lambda old: caption if "photo" in old else _missing("caption"))


async def edit_message_media(call: Call) -> Result:
    """Put another photo, with a caption of its own, in place of a message's content."""
    given = call.parameters.json("media", "media")
    if given is None:
        raise BadRequestError("media is missing")
    if not isinstance(given, dict):
        raise BadRequestError("expected an Object as media")
    fields = Parameters(as_parameters(given))
    kind = fields.text("type").lower()
    if kind in {"animation", "audio", "document", "video"}:
        raise NotSimulatedError(f"editMessageMedia of type {kind}")
    if kind != "photo":
        raise BadRequestError("can't parse InputMedia: type must be non-empty")
    photo = read_photo(call, fields.text("media")) | read_caption(fields) | media_options(fields)
    return _edit(call, MEDIA, lambda _: photo)


async def edit_message_reply_markup(call: Call) -> Result:
    """Change the inline keyboard under a message of the bot, or remove it."""
    return _edit(call, frozenset(), lambda _: {})


def _edit(call: Call, replaced: frozenset[str], content: Callable[[Json], Json]) -> Result:
    """Change a message of the bot.

    Args:
        call: The call, which names the message and says which keyboard is under it from now on.
        replaced: The fields that go.
        content: Given the message, returns the fields that come, or refuses.
    """
    parameters = call.parameters
    inline, _ = read_markup(parameters)
    if not parameters.text("chat_id") and not parameters.integer("message_id"):
        if not parameters.text("inline_message_id"):
            raise BadRequestError("message identifier is not specified")
        raise BadRequestError("MESSAGE_ID_INVALID")
    chat, message = message_of(call, "message to edit")
    if not message.from_bot:
        raise BadRequestError("message can't be edited")
    old = message.object()
    gone = replaced | {"reply_markup", "edit_date"}
    new = {name: value for name, value in old.items() if name not in gone} | content(old)
    if inline is not None:
        new["reply_markup"] = inline
    if new == {name: value for name, value in old.items() if name != "edit_date"}:
        raise BadRequestError(NOT_MODIFIED)
    check_limits(call, chat)
    body = encode({**new, "edit_date": call.simulator.clock.date()})
    call.simulator.put(call.bot, chat, replace(message, body=body), event="edited")
    call.bot.profile.counts.edited += 1
    call.bot.changed()
    return Result(body)


def _missing(what: str) -> Json:
    raise BadRequestError(f"there is no {what} in the message to edit")
