"""Whom an update comes from, and where they can be told something; whatever its shape is."""

from collections.abc import Iterator, Sequence
from typing import Any

LARGEST_ID = 2**52
"""Chat ids have at most 52 significant bits. Source: core.telegram.org/bots/api#chat."""
SENDERS = ("sender_chat", "from", "user", "actor_chat", "voter_chat", "chat")
"""Fields that name who caused an update: a chat where it was done in the chat's name."""


def sender_of(update: dict[str, Any]) -> int | None:
    """Return who wrote an update: a person, or the chat in whose name it was written."""
    return _id_in(update, SENDERS)


def _id_in(update: dict[str, Any], fields: Sequence[str]) -> int | None:
    """Return the id in the first of these fields; whatever shape an update has, it may be odd."""
    for content in update.values():
        for field in fields if isinstance(content, dict) else ():
            holder = content.get(field)
            if isinstance(holder, dict) and isinstance(holder.get("id"), int):
                return int(holder["id"])
    return None


def chat_of(raw: Any) -> int | None:
    """Return the chat in which whoever caused an update can be told; None where there is none."""
    parts = list(_parts(raw))
    for field in ("chat", "from", "user"):
        for part in parts:
            if (chat := _id(part.get(field))) is not None:
                return chat
    return None


def query_of(raw: Any) -> str | None:
    """Return the id of the callback query in an update: its button spins until it is answered."""
    query = raw.get("callback_query") if isinstance(raw, dict) else None
    number = query.get("id") if isinstance(query, dict) else None
    return number if isinstance(number, str) else None


def language_of(raw: Any) -> str | None:
    """Return the language of whoever caused an update, where Telegram knows it."""
    for part in _parts(raw):
        for field in ("from", "user"):
            person = part.get(field)
            code = person.get("language_code") if isinstance(person, dict) else None
            if isinstance(code, str):
                return code
    return None


def _parts(raw: Any) -> Iterator[dict[str, Any]]:
    """Yield what an update holds, and the message that a callback query holds."""
    for part in raw.values() if isinstance(raw, dict) else ():
        if isinstance(part, dict):
            yield part
            if isinstance(message := part.get("message"), dict):
                yield message


def _id(holder: Any) -> int | None:
    number = holder.get("id") if isinstance(holder, dict) else None
    return number if type(number) is int and 0 < abs(number) < LARGEST_ID else None
