"""Text as Telegram counts and reads it: UTF-16 lengths and the entities that it finds by itself.

The patterns follow find_entities in tdlib/td (MessageEntity.cpp). A bare domain counts as a link
only under one of the endings below; Telegram knows them all.
"""

import re
from typing import Any

Entity = dict[str, Any]

LONGEST_MESSAGE = 4096
WORD = "A-Za-z0-9_"
BARE_DOMAIN_ENDINGS = "com|org|net|info|io|dev|app|me|ru|de|uk|fr|eu|us|ai|co|cc|tv|xyz|online|site"

# Kind of entity, the character without which there is none, and its pattern.
FOUND = (
    (
        "mention",
        "@",
        re.compile(rf"(?<!\w)@[{WORD}]{{2,32}}+(?!\w)"),
    ),
    (
        "bot_command",
        "/",
        re.compile(
            rf"(?<![\w/<>])/[{WORD}]{{1,64}}+"
            rf"(?:@[{WORD}]{{3,32}}+(?![\w/<>])|(?![\w/<>@]))"
        ),
    ),
    (
        "hashtag",
        "#",
        re.compile(rf"(?<!\w)#(?=\w*[^\W\d_])\w{{1,256}}+(?:@[{WORD}]{{3,32}}+)?+(?!#)"),
    ),
    (
        "cashtag",
        "$",
        re.compile(rf"(?<![\w$])\$(?:1INCH|[A-Z]{{1,8}}+)(?:@[{WORD}]{{3,32}}+)?+(?![\w$])"),
    ),
    (
        "email",
        "@",
        re.compile(
            r"(?<![\w.+-])[A-Za-z0-9_.+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}(?![\w@])"
        ),
    ),
    (
        "url",
        ".",
        re.compile(
            rf"(?<![\w.@/-])(?:(?:https?|ftp|tg|ton)://[^\s<>\"]+"
            rf"|(?:[A-Za-z0-9-]+\.)+(?:{BARE_DOMAIN_ENDINGS})(?![\w@-])(?::\d+)?(?:[/?#][^\s<>\"]*)?)",
            re.IGNORECASE,
        ),
    ),
)
AFTER_URL = ".,:;!?)]}'\""


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units, the unit of offsets and limits."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def trimmed(text: str) -> str:
    """Return a message text as Telegram keeps it: without white space around it."""
    return text.rstrip().lstrip(" \n")


def find_entities(text: str) -> list[Entity]:
    """Return the entities that Telegram finds in a plain text, in order and not overlapping."""
    spans: list[tuple[int, int, str]] = []
    for kind, mark, pattern in FOUND:
        if mark in text:
            for found in pattern.finditer(text):
                end = found.end()
                if kind == "url":
                    end = found.start() + len(found.group().rstrip(AFTER_URL))
                spans.append((found.start(), end, kind))
    entities: list[Entity] = []
    free_from = 0
    for start, end, kind in sorted(spans):
        if start >= free_from:
            entities.append(entity(text, start, end, type=kind))
            free_from = end
    return entities


def entity(text: str, start: int, end: int, **fields: Any) -> Entity:
    """Return an entity over text[start:end], its place counted in UTF-16 code units."""
    return {
        "offset": utf16_length(text[:start]),
        "length": utf16_length(text[start:end]),
        **fields,
    }
