"""parse_mode MarkdownV2."""

from dataclasses import dataclass

from telegram_sim.formatting.formatted import Formatted, Output, link, unparsed
from telegram_sim.formatting.markdown import FENCE, read_language

RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
HIGHEST_ESCAPED = "~"
KINDS = {
    "*": "bold",
    "_": "italic",
    "__": "underline",
    "~": "strikethrough",
    "||": "spoiler",
    "`": "code",
    FENCE: "pre",
    "[": "text_link",
    ">": "blockquote",
}
NAMES = {"pre": "Pre", "code": "Code", "text_link": "TextUrl", "blockquote": "BlockQuote"}


@dataclass(slots=True)
class _Open:
    mark: str
    offset: int
    part: int
    at: int
    language: str = ""


def parse_markdown_v2(text: str) -> Formatted:
    """Return the text without its marks, and the entities that they made.

    Raises:
        BadRequestError: The marks make no sense; the text says where.
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._output = Output()
        self._open: list[_Open] = []
        self._line_begins = True

    def parse(self) -> Formatted:
        while self._at < len(self._text):
            character = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            if character == "\\" and following and "\0" < following <= HIGHEST_ESCAPED:
                self._take(following, 2)
            elif character not in self._reserved():
                self._take(character, 1)
            elif self._quote_ends(character):
                self._end_quote()
                self._take("\n", 1)
            elif self._open and self._at_end_of(self._open[-1].mark):
                self._end()
            else:
                self._begin(character)
        if self._in_quote():
            self._end_quote()
        if self._open:
            raise self._endless(self._open[-1])
        return self._output.formatted()

    def _take(self, character: str, width: int) -> None:
        self._output.add(character)
        self._at += width
        if character != "\r":
            self._line_begins = character == "\n"

    def _reserved(self) -> frozenset[str]:
        if self._open and self._open[-1].mark in {"`", FENCE}:
            return frozenset("`")
        return RESERVED

    def _at_end_of(self, mark: str) -> bool:
        if mark == "_":
            return self._text.startswith("_", self._at) and not self._text.startswith(
                "__", self._at
            )
        return self._text.startswith("]" if mark == "[" else mark, self._at) and mark != ">"

    def _in_quote(self) -> bool:
        return any(opened.mark == ">" for opened in self._open)

    def _quote_ends(self, character: str) -> bool:
        return (
            character == "\n" and self._in_quote() and not self._text.startswith(">", self._at + 1)
        )

    def _begin(self, character: str) -> None:
        if character == "\n":
            self._take("\n", 1)
            return
        if character == ">" and self._line_begins and self._in_quote():
            self._at += 1
            return
        mark = next(
            (mark for mark in ("__", "||", FENCE) if self._text.startswith(mark, self._at)),
            character,
        )
        if mark not in KINDS or (mark == ">" and not self._line_begins):
            raise unparsed(
                f"Character '{character}' is reserved and must be escaped with the preceding '\\'"
            )
        opened = _Open(mark, self._output.length, len(self._output.parts), self._at)
        self._at += len(mark)
        if mark == FENCE:
            opened.language, self._at = read_language(self._text, self._at)
        self._open.append(opened)

    def _end(self) -> None:
        opened = self._open.pop()
        kind = KINDS[opened.mark]
        self._at += 1 if opened.mark == "[" else len(opened.mark)
        if opened.mark == "[":
            made = link(self._url() or self._output.since(opened.part))
            if made is not None:
                self._output.entity(opened.offset, **made)
            return
        language = {"language": opened.language} if opened.language else {}
        self._output.entity(opened.offset, type=kind, **language)

    def _end_quote(self) -> None:
        opened = self._open.pop()
        kind = "blockquote"
        if opened.mark == "||" and opened.at == self._at - len("||"):
            kind = "expandable_blockquote"
            opened = self._open.pop()
        if opened.mark != ">":
            raise self._endless(opened)
        self._output.entity(opened.offset, type=kind)

    def _url(self) -> str:
        if not self._text.startswith("(", self._at):
            return ""
        begin = at = self._at + 1
        url = ""
        while at < len(self._text) and self._text[at] != ")":
            if self._text[at] == "\\" and self._text[at + 1 : at + 2]:
                at += 1
            url += self._text[at]
            at += 1
        if at >= len(self._text):
            offset = len(self._text[:begin].encode())
            raise unparsed(f"Can't find end of a URL at byte offset {offset}")
        self._at = at + 1
        return url

    def _endless(self, opened: _Open) -> Exception:
        kind = KINDS[opened.mark]
        name = NAMES.get(kind, kind.capitalize())
        offset = len(self._text[: opened.at].encode())
        return unparsed(f"Can't find end of {name} entity at byte offset {offset}")
