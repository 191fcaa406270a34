"""Updates as python-telegram-bot's objects, the frequent kind at half the price.

`Update.de_json` looks for every one of some hundred fields that an update and a message can have.
Nearly all that a bot of commands gets is a plain text message, which has six of them.
"""

from datetime import UTC, datetime
from typing import Any

from telegram import Bot, Chat, Message, MessageEntity, Update, User

PLAIN_UPDATE = frozenset(("update_id", "message"))
PLAIN_MESSAGE = frozenset(("message_id", "from", "chat", "date", "text", "entities"))


def parse_update(raw: dict[str, Any], bot: Bot) -> Update:
    """Return what `Update.de_json` makes of a raw update."""
    message = raw.get("message")
    if message is None or not (raw.keys() <= PLAIN_UPDATE and message.keys() <= PLAIN_MESSAGE):
        return Update.de_json(raw, bot)
    made = Message(
        message_id=message["message_id"],
        date=datetime.fromtimestamp(message["date"], tz=UTC),
        chat=Chat.de_json(message["chat"], bot),
        from_user=User.de_json(message["from"], bot) if "from" in message else None,
        text=message.get("text"),
        entities=MessageEntity.de_list(message.get("entities", ()), bot),
    )
    made.set_bot(bot)
    update = Update(raw["update_id"], message=made)
    update.set_bot(bot)
    return update
