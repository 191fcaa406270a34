"""A text with its entities, and how it is put together."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from telegram_sim.api.errors import BadRequestError
from telegram_sim.formatting.entities import DROPPED, WHITE_SPACE, Entity, cleaned, utf16_length


@dataclass(frozen=True, slots=True)
class Formatted:
    """A text and its entities, in UTF-16 code units."""

    text: str
    entities: list[Entity]

    def kept(self) -> "Formatted":
        """Return it as Telegram keeps it: cleaned, without white space around it.

        White space at the front that an entity covers stays: fix_formatted_text in tdlib/td.
        """
        if not self.entities:
            return Formatted(cleaned(self.text).strip(WHITE_SPACE), [])
        places = self._places_after_cleaning()
        text = cleaned(self.text).rstrip(WHITE_SPACE)
        length = utf16_length(text)
        spans = [
            (places(entity["offset"]), places(entity["offset"] + entity["length"]), entity)
            for entity in self.entities
        ]
        blanks = len(text) - len(text.lstrip(WHITE_SPACE))
        gone = min([blanks, *(start for start, _, _ in spans)])
        entities = [
            {**entity, "offset": start - gone, "length": min(end, length) - start}
            for start, end, entity in spans
            if min(end, length) > start
        ]
        return Formatted(text[gone:], entities)

    def _places_after_cleaning(self) -> Callable[[int], int]:
        """Return what tells where an offset lies once the characters that are dropped have gone."""
        dropped = [
            utf16_length(self.text[:at])
            for at, character in enumerate(self.text)
            if character in DROPPED
        ]
        return lambda offset: offset - bisect_left(dropped, offset)


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
