"""Entities and lengths are found as Telegram finds them, in UTF-16 code units."""

from itertools import pairwise

import pytest

from telegram_sim.formatting.entities import find_entities, trimmed, utf16_length


def found(text: str) -> list[tuple[str, str]]:
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
    assert [what for kind, what in found(text) if kind == "bot_command"] == commands


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
    assert found(text) == entities


def test_entities_are_in_order_and_apart() -> None:
    """One after the other, none inside another."""
    text = "#a /b @cd https://example.org/#x 🚀 /e"
    places = [(entity["offset"], entity["length"]) for entity in find_entities(text)]
    assert places == sorted(places)
    assert all(start + length <= following for (start, length), (following, _) in pairwise(places))


def test_white_space_around_a_text_goes() -> None:
    """At the end any, at the front blanks and line breaks."""
    assert trimmed(" \n a b \t\n") == "a b"
