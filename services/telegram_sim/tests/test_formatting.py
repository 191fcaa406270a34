"""The three parse modes make the entities, and the errors, that Telegram makes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_sim.api.errors import BadRequestError
from telegram_sim.client import SimClient
from telegram_sim.formatting import Formatted, parse_html, parse_markdown, parse_markdown_v2
from telegram_sim.formatting.entities import utf16_length

Parser = Callable[[str], Formatted]
Place = tuple[str, int, int]


def places(formatted: Formatted) -> list[Place]:
    """Return the kinds and places of the entities."""
    return [(entity["type"], entity["offset"], entity["length"]) for entity in formatted.entities]


@pytest.mark.parametrize(
    ("parser", "marked", "text", "entities"),
    [
        (parse_html, "<b>a</b> <i>🚀</i>c", "a 🚀c", [("bold", 0, 1), ("italic", 2, 2)]),
        (parse_html, "<b>a<i>b</i></b>", "ab", [("bold", 0, 2), ("italic", 1, 1)]),
        (parse_html, "1 &lt; 2 &amp;&#33; &copy;", "1 < 2 &! &copy;", []),
        (parse_html, '<a href="example.org">x</a>', "x", [("text_link", 0, 1)]),
        (parse_html, '<a href="tg://user?id=7">x</a>', "x", [("text_mention", 0, 1)]),
        (parse_html, "<a href='nowhere'>x</a>", "x", []),
        (parse_html, '<span class="tg-spoiler">x</span>', "x", [("spoiler", 0, 1)]),
        (parse_html, "<blockquote expandable>x</blockquote>", "x",
         [("expandable_blockquote", 0, 1)]),
        (parse_html, '<pre><code class="language-py">x</code></pre>', "x", [("pre", 0, 1)]),
        (parse_html, "<b></b>x", "x", []),
        (parse_markdown, "*a* _b_ `c`", "a b c",
         [("bold", 0, 1), ("italic", 2, 1), ("code", 4, 1)]),
        (parse_markdown, r"\*a\_", "*a_", []),
        (parse_markdown, "```py\nx```", "x", [("pre", 0, 1)]),
        (parse_markdown, "[x](http://example.org)", "x", [("text_link", 0, 1)]),
        (parse_markdown_v2, "*a _b_* __c__ ~d~ ||e||", "a b c d e",
         [("bold", 0, 3), ("italic", 2, 1), ("underline", 4, 1), ("strikethrough", 6, 1),
          ("spoiler", 8, 1)]),
        (parse_markdown_v2, r"1\.2\!", "1.2!", []),
        (parse_markdown_v2, "`a.b` ```py\nc```", "a.b c", [("code", 0, 3), ("pre", 4, 1)]),
        (parse_markdown_v2, "[x](http://example.org/a\\)b)", "x", [("text_link", 0, 1)]),
        (parse_markdown_v2, ">a\n>b\nc", "a\nb\nc", [("blockquote", 0, 3)]),
        (parse_markdown_v2, ">a||", "a", [("expandable_blockquote", 0, 1)]),
        (parse_markdown_v2, "*🚀*", "🚀", [("bold", 0, 2)]),
    ],
)  # fmt: skip
def test_marks_become_entities(
    parser: Parser, marked: str, text: str, entities: list[Place]
) -> None:
    """The marks go, and the entities stand where they were, in UTF-16 code units."""
    formatted = parser(marked)
    assert formatted.text == text
    assert places(formatted) == entities


@pytest.mark.parametrize(
    ("parser", "marked", "reason"),
    [
        (parse_html, "<x>a</x>", 'Unsupported start tag "x" at byte offset 0'),
        (parse_html, "é<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        (parse_html, "é</b>", "Unexpected end tag at byte offset 2"),
        (parse_html, "<b", "Unclosed start tag at byte offset 0"),
        (parse_html, "<b>a</b", "Unclosed end tag at byte offset 4"),
        (parse_html, "<b>a</i>",
         'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        (parse_html, "<span>a</span>",
         'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        (parse_html, "<a =x>", 'Empty attribute name in the tag "a" at byte offset 0'),
        (parse_html, "<a href=a&b>", "Unexpected end of name token at byte offset 8"),
        (parse_html, '<a href="x', "Unclosed start tag at byte offset 0"),
        (parse_markdown, "a *b", "Can't find end of the entity starting at byte offset 2"),
        (parse_markdown_v2, "a.b",
         "Character '.' is reserved and must be escaped with the preceding '\\'"),
        (parse_markdown_v2, "a > b",
         "Character '>' is reserved and must be escaped with the preceding '\\'"),
        (parse_markdown_v2, "*a", "Can't find end of Bold entity at byte offset 0"),
        (parse_markdown_v2, "[a](b", "Can't find end of a URL at byte offset 4"),
        (parse_markdown_v2, ">*a\nb", "Can't find end of Bold entity at byte offset 1"),
    ],
)  # fmt: skip
def test_wrong_marks_are_told(parser: Parser, marked: str, reason: str) -> None:
    """The error says what is wrong and where, in Telegram's words."""
    with pytest.raises(BadRequestError) as caught:
        parser(marked)
    assert str(caught.value) == f"Bad Request: can't parse entities: {reason}"


@pytest.mark.parametrize("parser", [parse_html, parse_markdown, parse_markdown_v2])
@given(text=st.text(alphabet="ab🚀 \n<>/=\"'&;*_~|`[]()>!\\.-#", max_size=60))
def test_any_text_is_parsed_or_refused(parser: Parser, text: str) -> None:
    """Whatever comes: entities inside the text, or a BadRequestError; never anything else."""
    try:
        formatted = parser(text).kept()
    except BadRequestError:
        return
    length = utf16_length(formatted.text)
    for _, offset, size in places(formatted):
        assert 0 <= offset < offset + size <= length


def test_trimming_moves_the_entities() -> None:
    """White space at the front goes as far as no entity covers it."""
    formatted = Formatted("  a b  ", [{"type": "bold", "offset": 4, "length": 3}])
    assert formatted.kept() == Formatted("a b", [{"type": "bold", "offset": 2, "length": 1}])
    covered = Formatted(" a", [{"type": "bold", "offset": 0, "length": 2}])
    assert covered.kept() == covered


def test_cleaning_moves_the_entities() -> None:
    """What is dropped counts for nothing, before an entity or inside it."""
    text = "\r🚀 a\u202eb c"
    whole = Formatted(text, [{"type": "bold", "offset": 4, "length": 3}])
    assert whole.kept() == Formatted("🚀 ab c", [{"type": "bold", "offset": 3, "length": 2}])


async def test_a_formatted_message_keeps_what_telegram_finds_besides(
    sim: SimClient, api: Callable[..., Any]
) -> None:
    """Given entities and found ones are merged; inside a given one none is found."""
    await sim.write("/start", user=7)
    sent = await api("sendMessage", chat_id=7, text="<code>/a</code> and /b", parse_mode="HTML")
    assert [entity["type"] for entity in sent["result"]["entities"]] == ["code", "bot_command"]
