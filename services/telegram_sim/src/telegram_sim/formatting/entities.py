"""Text as Telegram counts and reads it: UTF-16 lengths and the entities that it finds by itself.

The patterns follow find_entities in tdlib/td (MessageEntity.cpp). A bare domain counts as a link
only under one of the endings below; Telegram knows them all.
"""

import re
from typing import Any

Entity = dict[str, Any]

LONGEST_MESSAGE = 4096
LONGEST_CAPTION = 1024
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
DROPPED = "\r\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u030a\u0333\u033f"
"""A carriage return, separators and marks of direction, and lines drawn over other characters."""
CLEANING = dict.fromkeys((*range(10), 11, 12, *range(14, 32)), " ") | str.maketrans("", "", DROPPED)
MARKS_BEFORE_A_MARK = re.compile("[\u200e\u200f]+(?=[\u200e\u200f])")
WHITE_SPACE = " \n"
"""What goes from the ends of a text; no other kind of white space does."""
UNSEEN = (
    WHITE_SPACE
    + "\u00a0\u1680\u180e\u202f\u205f\u2800\u3000\ufffc\ufeff"
    + "".join(map(chr, (*range(0x2000, 0x2010), *range(0xE0000, 0xE0080))))
)
"""What a text may be full of and still show nothing: other spaces, and characters without width."""
AFTER_URL = ".,:;!?)]}'\""


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units, the unit of offsets and limits."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def cleaned(text: str) -> str:
    """Return a text as Telegram stores it: clean_input_string in tdlib/td (misc.cpp).

    Control characters but the line break become blanks, and what is in `DROPPED` goes. Of a run of
    marks of direction only the last is left; the others become joiners without a width.
    """
    if text.isascii() and text.isprintable():
        return text
    return MARKS_BEFORE_A_MARK.sub(_joiners, text.translate(CLEANING))


def is_empty(text: str) -> bool:
    """Return whether a text shows nothing: is_empty_string in tdlib/td (misc.cpp)."""
    return not text.strip(UNSEEN)


def _joiners(marks: re.Match[str]) -> str:
    return "\u200c" * len(marks[0])


def find_entities(text: str) -> list[Entity]:
    """Return the entities that Telegram finds in a plain text, in order and not overlapping."""
    spans: list[tuple[int, int, str]] = []
    for kind, mark, pattern in FOUND:
        if mark in text:
            for match in pattern.finditer(text):
                end = match.end()
                if kind == "url":
                    end = match.start() + len(match.group().rstrip(AFTER_URL))
                spans.append((match.start(), end, kind))
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
