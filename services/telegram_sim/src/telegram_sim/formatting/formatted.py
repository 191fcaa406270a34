"""A text with its entities, and how it is put together."""

from dataclasses import dataclass, field
from typing import Any

from telegram_sim.api.errors import BadRequestError
from telegram_sim.formatting.entities import Entity, trimmed, utf16_length


@dataclass(frozen=True, slots=True)
class Formatted:
    """A text and its entities, in UTF-16 code units."""

    text: str
    entities: list[Entity]

    def trimmed(self) -> "Formatted":
        """Return it as Telegram keeps it: without white space around it.

        White space at the front that an entity covers stays.
        """
        if not self.entities:
            return Formatted(trimmed(self.text), [])
        text = self.text.rstrip()
        first = min(entity["offset"] for entity in self.entities)
        front = len(text) - len(text.lstrip(" \n"))
        gone = min(front, first)
        text = text[gone:]
        length = utf16_length(text)
        entities = []
        for entity in self.entities:
            start = entity["offset"] - gone
            end = min(start + entity["length"], length)
            if end > start:
                entities.append({**entity, "offset": start, "length": end - start})
        return Formatted(text, entities)


@dataclass(slots=True)
class Output:
    """The text that a parser has read so far, and its entities."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    entities: list[Entity] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Add text."""
        self.parts.append(text)
        self.length += utf16_length(text)

    def since(self, part: int) -> str:
        """Return the text from a part on."""
        return "".join(self.parts[part:])

    def entity(self, start: int, **fields: Any) -> None:
        """Note an entity from an offset up to here; one without text is no entity."""
        if self.length > start:
            self.entities.append({"offset": start, "length": self.length - start, **fields})

    def formatted(self) -> Formatted:
        """Return what has been read, the entities in order, an outer one before the inner ones."""
        order = sorted(self.entities, key=lambda entity: (entity["offset"], -entity["length"]))
        return Formatted("".join(self.parts), order)


def unparsed(reason: str) -> BadRequestError:
    """Return the error that says why a text's markup cannot be read."""
    return BadRequestError(f"can't parse entities: {reason}")


def link(url: str) -> dict[str, Any] | None:
    """Return the fields of the entity that a link makes; None where it leads nowhere."""
    user = url.removeprefix("tg://user?id=")
    if user != url and user.isdecimal():
        return {"type": "text_mention", "user": {"id": int(user), "is_bot": False}}
    if "." not in url and "://" not in url:
        return None
    if "://" not in url:
        url = f"http://{url}"
    scheme, _, rest = url.partition("://")
    return {"type": "text_link", "url": url if "/" in rest else f"{scheme}://{rest}/"}
