"""Entities and lengths are found as Telegram finds them, in UTF-16 code units."""

from itertools import pairwise

import pytest

from telegram_sim.formatting import Formatted
from telegram_sim.formatting.entities import find_entities, is_empty, utf16_length


def entity_texts(text: str) -> list[tuple[str, str]]:
    """Return the kinds and the texts of the entities found in a text."""
    units = text.encode("utf-16-le")
    return [
        (
            entity["type"],
            units[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2].decode(
                "utf-16-le"
            ),
        )
        for entity in find_entities(text)
    ]


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 3), ("привет", 6), ("🚀", 2), ("a🚀é", 4)]
)
def test_length_counts_utf_16_code_units(text: str, length: int) -> None:
    """What is outside the basic plane counts twice."""
    assert utf16_length(text) == length


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("/start", ["/start"]),
        ("/start@some_bot a /b", ["/start@some_bot", "/b"]),
        ("🚀 /go", ["/go"]),
        ("and/or a//b </x> 1/2", []),
        ("/" + "x" * 64, ["/" + "x" * 64]),
        ("/" + "x" * 65, []),
        ("/команда", []),
        ("/a@b", []),
        ("/a@bot@c", ["/a@bot"]),
        ("(/start)", ["/start"]),
        ("/start,", ["/start"]),
        ("/start/", []),
        ("/", []),
    ],
)
def test_bot_commands(text: str, commands: list[str]) -> None:
    """A command is a slash and up to 64 letters, digits and underscores, on its own."""
    assert [what for kind, what in entity_texts(text) if kind == "bot_command"] == commands


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("hi @ada_lovelace!", [("mention", "@ada_lovelace")]),
        ("mail@x", []),
        ("#тег and #1", [("hashtag", "#тег")]),
        ("#one#two", []),
        ("$USD $usd", [("cashtag", "$USD")]),
        ("a@example.org", [("email", "a@example.org")]),
        ("see https://example.org/a?b=c.", [("url", "https://example.org/a?b=c")]),
        ("example.com, example.nothing", [("url", "example.com")]),
        ("plain text. Nothing", []),
    ],
)
def test_other_entities(text: str, entities: list[tuple[str, str]]) -> None:
    """Mentions, hashtags, cashtags, addresses and links."""
    assert entity_texts(text) == entities


def test_entities_are_in_order_and_apart() -> None:
    """One after the other, none inside another."""
    text = "#a /b @cd https://example.org/#x 🚀 /e"
    places = [(entity["offset"], entity["length"]) for entity in find_entities(text)]
    assert places == sorted(places)
    assert all(start + length <= following for (start, length), (following, _) in pairwise(places))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (" \n a b \t\n", "a b"),
        ("a\tb\0c\r\nd", "a b c\nd"),
        ("\u2028a\u202eb\u202d", "ab"),
        ("a\u0333b\u030ac\u033f", "abc"),
        ("a\u200e\u200f\u200eb\u200ec", "a\u200c\u200c\u200eb\u200ec"),
        ("\u00a0a\u00a0", "\u00a0a\u00a0"),
    ],
)
def test_a_text_is_stored_cleaned(text: str, stored: str) -> None:
    """Control characters become blanks, what draws over others goes, and blanks at the ends."""
    assert Formatted(text, []).kept().text == stored


@pytest.mark.parametrize("text", ["", " \n", "\u00a0", "\u200b\u2003\ufeff", "\U000e0041"])
def test_a_text_may_show_nothing(text: str) -> None:
    """Other spaces and characters without width are no text."""
    assert is_empty(text)
    assert not is_empty(f"{text}a")
