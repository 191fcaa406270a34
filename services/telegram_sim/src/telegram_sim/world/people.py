"""What people do: they write, edit, press buttons and block the bot."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from telegram_sim.api.serial import Json, encode
from telegram_sim.formatting import Formatted
from telegram_sim.formatting.entities import (
    LONGEST_CAPTION,
    LONGEST_MESSAGE,
    Entity,
    find_entities,
    is_empty,
    utf16_length,
)
from telegram_sim.updates.queue import LIFETIME as UPDATE_LIFETIME
from telegram_sim.world.bots import Bot
from telegram_sim.world.chats import (
    CHANNEL,
    HIGHEST_SUPERGROUP,
    PRIVATE,
    Chat,
    StoredMessage,
    group_chat,
    private_chat,
)
from telegram_sim.world.files import FileError
from telegram_sim.world.members import hears, join
from telegram_sim.world.presses import LIFETIME as PRESS_LIFETIME
from telegram_sim.world.presses import Press
from telegram_sim.world.simulator import Simulator

FIRST_USER = 1001
WORDS = frozenset({"text", "entities", "caption", "caption_entities", "edit_date"})
FIRST_GROUP = -4001


class PeopleError(Exception):
    """A person cannot do this; its text is the whole message."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Something that a person writes.

    Attributes:
        text: What is written.
        user: The person's User object; `id` is enough.
        chat: The Chat object of the group; None for the private chat with the bot.
        date: Unix second; None for now.
        entities: Entities given by hand; None for those that Telegram finds.
        reply_to: The number of the message that it answers; 0 for none.
        photo: A photo, whose caption the text is; None for none.
    """

    text: str
    user: Json
    chat: Json | None = None
    date: int | None = None
    entities: list[Entity] | None = None
    reply_to: int = 0
    photo: bytes | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of something that a person wrote; no update where the bot gets none."""

    message: StoredMessage
    chat: int
    update_id: int | None


def write(simulator: Simulator, bot: Bot, writing: Writing) -> Written:
    """Put a person's message into a chat, and the update about it before the bot.

    Raises:
        PeopleError: Telegram's own apps would not let a person write this.
    """
    content = _content(simulator, bot, writing)
    user = simulator.meet(writing.user)
    chat = simulator.open_chat(bot, _chat_of(bot, user, writing.chat))
    date = simulator.clock.date() if writing.date is None else writing.date
    about: Json = {"message_id": simulator.next_message_id(bot, chat)}
    if chat.type == CHANNEL:
        about["sender_chat"] = chat.about
    else:
        about["from"] = user
        join(simulator, bot, chat, user["id"])
    about.update(chat=chat.about, date=date)
    if writing.reply_to:
        about["reply_to_message"] = message_in(chat, writing.reply_to).object()
    about |= content
    message = StoredMessage(about["message_id"], from_bot=False, body=encode(about))
    simulator.put(bot, chat, message)
    kind = "channel_post" if chat.type == CHANNEL else "message"
    return _arrived(bot, chat, message, kind, date)


def open_chat(simulator: Simulator, bot: Bot, kind: str, name: str) -> Chat:
    """Open an empty chat: a new user's private one, or a new group."""
    if kind == PRIVATE:
        number = max((FIRST_USER - 1, *simulator.users)) + 1
        user = simulator.meet({"id": number, "first_name": name})
        return simulator.open_chat(bot, private_chat(user))
    number = min((FIRST_GROUP + 1, *(id_ for id_ in bot.chats if id_ > HIGHEST_SUPERGROUP))) - 1
    return simulator.open_chat(bot, group_chat(number, {"title": name}))


def edit(simulator: Simulator, bot: Bot, chat: Chat, message_id: int, text: str) -> Written:
    """Change the text of a person's message, and put the update about it before the bot.

    Raises:
        PeopleError: There is no such message, or Telegram's own apps would not allow this.
    """
    message = message_in(chat, message_id)
    if message.from_bot:
        raise PeopleError(f"message {message_id} is the bot's: a person cannot edit it")
    now = simulator.clock.date()
    old = message.object()
    about = {name: value for name, value in old.items() if name not in WORDS}
    about |= {"edit_date": now, **_words(text, caption="photo" in old)}
    edited = replace(message, body=encode(about))
    simulator.put(bot, chat, edited, event="edited")
    kind = "edited_channel_post" if chat.type == CHANNEL else "edited_message"
    return _arrived(bot, chat, edited, kind, now)


def press(  # noqa: PLR0913 - where, whose, which and by whom
    simulator: Simulator, bot: Bot, chat: Chat, message_id: int, *, label: str, user: Json
) -> tuple[Press, int | None]:
    """Press a button under a message, and put the callback query before the bot.

    Args:
        simulator: Where this happens.
        bot: Whose message it is.
        chat: Where the message is.
        message_id: The message with the button.
        label: The button's callback data, or its text.
        user: Who presses it.

    Returns:
        The press, and the number of the update.

    Raises:
        PeopleError: There is no such button.
    """
    message = message_in(chat, message_id)
    data = _callback_data(message, label)
    user = simulator.meet(user)
    pressed = simulator.presses.add(bot.id)
    query = {
        "id": pressed.id,
        "from": user,
        "message": message.object(),
        "chat_instance": str(abs(chat.id) + bot.id),
        "data": data,
    }
    expires = simulator.clock.date() + PRESS_LIFETIME
    queue = f"callback_query {user['id']}"
    return pressed, bot.arrive("callback_query", encode(query), expires, queue)


def block(simulator: Simulator, bot: Bot, chat: Chat, *, blocked: bool) -> int | None:
    """Have the user of a private chat block the bot, or let it write again.

    Returns:
        The number of the update about it.

    Raises:
        PeopleError: It is no private chat.
    """
    if chat.type != PRIVATE:
        raise PeopleError(f"chat {chat.id} is no private chat: only a user can block a bot")
    if chat.blocked == blocked:
        return None
    chat.blocked = blocked
    simulator.keep_chat(bot, chat)
    free: Json = {"user": bot.user, "status": "member"}
    kicked: Json = {"user": bot.user, "status": "kicked", "until_date": 0}
    change = {
        "chat": chat.about,
        "from": simulator.users[chat.id],
        "date": simulator.clock.date(),
        "old_chat_member": free if blocked else kicked,
        "new_chat_member": kicked if blocked else free,
    }
    return inject(simulator, bot, "my_chat_member", change)


def inject(
    simulator: Simulator, bot: Bot, kind: str, value: Any, lifetime: int | None = None
) -> int | None:
    """Put an update of any content before the bot, and return its number.

    Args:
        simulator: Where this happens.
        bot: Whom it happens to.
        kind: The name of the update's field.
        value: The field's value, as it is.
        lifetime: Seconds that the update lives; None for Telegram's own rule.
    """
    now = simulator.clock.date()
    if lifetime is None:
        date = value.get("date", now) if isinstance(value, dict) else now
        expires = date + UPDATE_LIFETIME if isinstance(date, int) else now + UPDATE_LIFETIME
        if kind == "callback_query":
            expires = now + PRESS_LIFETIME
    else:
        expires = now + lifetime
    return bot.arrive(kind, encode(value), expires, _queue_of(kind, value))


def message_in(chat: Chat, message_id: int) -> StoredMessage:
    """Return a chat's message.

    Raises:
        PeopleError: The chat has none with this number.
    """
    message = chat.messages.get(message_id)
    if message is None:
        raise PeopleError(f"chat {chat.id} has no message {message_id}")
    return message


def _callback_data(message: StoredMessage, label: str) -> str:
    markup = message.object().get("reply_markup", {})
    buttons = [button for row in markup.get("inline_keyboard", ()) for button in row]
    for button in buttons:
        if label in {button.get("callback_data"), button["text"]} and "callback_data" in button:
            return str(button["callback_data"])
    there = ", ".join(repr(button["text"]) for button in buttons) or "none"
    raise PeopleError(
        f"message {message.id} has no button {label!r} that makes a callback query; its buttons: "
        f"{there}"
    )


def _arrived(bot: Bot, chat: Chat, message: StoredMessage, kind: str, date: int) -> Written:
    """Put the update about a message before the bot, as far as it hears of such a message."""
    update_id = None
    if hears(bot, chat, message):
        update_id = bot.arrive(kind, message.body, date + UPDATE_LIFETIME, f"{kind} {chat.id}")
    return Written(message, chat.id, update_id)


def _content(simulator: Simulator, bot: Bot, writing: Writing) -> Json:
    """Return the fields of a Message that hold what a person wrote."""
    if writing.photo is None:
        return _words(writing.text, writing.entities)
    try:
        photo = simulator.files.add_photo(bot.id, writing.photo)
    except FileError as problem:
        raise PeopleError(f"photo: {problem}") from None
    return {
        "photo": [photo.photo_size()],
        **_words(writing.text, writing.entities, caption=True),
    }


def _words(text: str, entities: list[Entity] | None = None, *, caption: bool = False) -> Json:
    """Return the fields of a Message that a text, or a photo's caption, makes."""
    kept = Formatted(text, entities or []).kept()
    if is_empty(kept.text):
        if caption:
            return {}
        raise PeopleError("text is empty: Telegram's apps do not send that")
    length, most = utf16_length(kept.text), LONGEST_CAPTION if caption else LONGEST_MESSAGE
    if length > most:
        raise PeopleError(
            f"text has {length} UTF-16 code units, more than the {most} that Telegram's "
            "apps send in one message"
        )
    marks = find_entities(kept.text) if entities is None else kept.entities
    names = ("caption", "caption_entities") if caption else ("text", "entities")
    return dict(zip(names, (kept.text, marks), strict=False)) if marks else {names[0]: kept.text}


def _chat_of(bot: Bot, user: Json, chat: Json | None) -> Json:
    if chat is None or chat["id"] == user["id"]:
        return private_chat(user)
    known = bot.chats.get(chat["id"])
    if known is not None and len(chat) == 1:
        return known.about
    return group_chat(chat["id"], chat)


def _queue_of(kind: str, value: Any) -> str:
    """Return the webhook queue of an update, as Client.cpp chooses it: the chat, or the user."""
    if isinstance(value, dict):
        for owner in ("chat", "from", "user"):
            of = value.get(owner)
            if isinstance(of, dict) and "id" in of:
                return f"{kind} {of['id']}"
    return f"{kind} {secrets.token_hex(8)}"
