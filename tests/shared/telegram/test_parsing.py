"""A plain message becomes the same object on the short way as on python-telegram-bot's own."""

from typing import Any

import pytest
from telegram import Bot, Update

from shared.telegram.api.parsing import parse_update

USER = {"id": 7, "is_bot": False, "first_name": "Ada", "language_code": "en", "unknown": 1}
CHAT = {"id": 7, "type": "private", "first_name": "Ada"}
PLAIN = {"message_id": 5, "from": USER, "chat": CHAT, "date": 1767225600, "text": "/command 🚀"}
ENTITIES = [
    {"type": "bot_command", "offset": 0, "length": 8},
    {"type": "text_mention", "offset": 9, "length": 2, "user": USER},
]


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "message": PLAIN},
        {"update_id": 1, "message": {**PLAIN, "entities": ENTITIES}},
        {"update_id": 1, "message": {k: v for k, v in PLAIN.items() if k != "from"}},
        {"update_id": 1, "message": {k: v for k, v in PLAIN.items() if k != "text"}},
        {"update_id": 1, "message": {**PLAIN, "reply_to_message": PLAIN}},
        {"update_id": 1, "message": PLAIN, "field_of_tomorrow": 1},
        {"update_id": 1, "edited_message": {**PLAIN, "edit_date": 1767225601}},
        {"update_id": 1},
    ],
)
def test_the_short_way_makes_the_same_update(update: dict[str, Any]) -> None:
    """Every value, every object's bot, and what is unknown are as `Update.de_json` has them."""
    bot = Bot("42:token")
    ours, theirs = parse_update(dict(update), bot), Update.de_json(dict(update), bot)
    assert ours == theirs
    assert ours.to_dict() == theirs.to_dict()
    assert ours.api_kwargs == theirs.api_kwargs
    if ours.message is not None and theirs.message is not None:
        assert ours.message.date == theirs.message.date
        assert ours.message.date.tzinfo == theirs.message.date.tzinfo
        assert ours.message.parse_entities() == theirs.message.parse_entities()
        parts = (ours, ours.message, ours.message.chat, *ours.message.entities)
        assert all(part.get_bot() is bot for part in parts)
