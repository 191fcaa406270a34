"""parse_mode HTML."""

import re
from dataclasses import dataclass, field

from telegram_sim.formatting.formatted import Formatted, Output, link, unparsed

NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot));?")
NAME = re.compile(r"[^\s>]*")
ATTRIBUTE = re.compile(r"""[^\s=>/"']*""")
TOKEN = re.compile(r"[A-Za-z0-9.-]*")
SPACE = re.compile(r"\s*")
KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("tg-spoiler", "span"), "spoiler"),
    **{name: name for name in ("pre", "code", "blockquote")},
    "a": "text_link",
}


@dataclass(slots=True)
class _Tag:
    name: str
    offset: int
    part: int
    attributes: dict[str, str] = field(default_factory=dict)


def parse_html(text: str) -> Formatted:
    """Return the text without its tags, and the entities that they made.

    Raises:
        BadRequestError: The tags make no sense; the text says where.
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._output = Output()
        self._open: list[_Tag] = []

    def parse(self) -> Formatted:
        while self._at < len(self._text):
            tag_at = self._text.find("<", self._at)
            end = len(self._text) if tag_at < 0 else tag_at
            if end > self._at:
                self._output.add(_decoded(self._text[self._at : end]))
            self._at = end
            if tag_at >= 0:
                self._tag()
        if self._open:
            raise unparsed(
                f'Can\'t find end tag corresponding to start tag "{self._open[-1].name}"'
            )
        for entity in self._output.entities:
            if entity["type"] == "code":  # only a block of code has a language
                entity.pop("language", None)
        return self._output.formatted()

    def _tag(self) -> None:
        begin = self._at
        if self._text[begin + 1 : begin + 2] == "/":
            self._end_tag(begin)
        else:
            self._start_tag(begin)

    def _start_tag(self, begin: int) -> None:
        self._at = begin + 1
        name = self._match(NAME).lower()
        if self._at >= len(self._text):
            raise unparsed(f"Unclosed start tag at byte offset {self._bytes(begin)}")
        if name not in KINDS:
            raise unparsed(f'Unsupported start tag "{name}" at byte offset {self._bytes(begin)}')
        tag = _Tag(name, self._output.length, len(self._output.parts))
        while True:
            self._match(SPACE)
            if self._next() == ">":
                break
            key, value = self._attribute(name, begin)
            tag.attributes[key] = value
        self._at += 1
        if name == "span" and tag.attributes.get("class") != "tg-spoiler":
            raise unparsed(
                f'Tag "span" must have class "tg-spoiler" at byte offset {self._bytes(begin)}'
            )
        self._open.append(tag)

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        key = self._match(ATTRIBUTE)
        where = f"at byte offset {self._bytes(begin)}"
        if not key:
            raise unparsed(f'Empty attribute name in the tag "{tag}" {where}')
        self._match(SPACE)
        if self._next() == "=":
            self._at += 1
            self._match(SPACE)
            value = self._value(where)
        else:
            value = ""
        if self._at >= len(self._text):
            raise unparsed(f'Unclosed start tag "{tag}" {where}')
        return key, value

    def _value(self, where: str) -> str:
        quote = self._next()
        if quote not in {'"', "'"}:
            start = self._at
            value = self._match(TOKEN).lower()
            if self._next() != ">" and not self._next().isspace():
                raise unparsed(f"Unexpected end of name token at byte offset {self._bytes(start)}")
            return value
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise unparsed(f"Unclosed start tag {where}")
        value = _decoded(self._text[self._at + 1 : end])
        self._at = end + 1
        return value

    def _end_tag(self, begin: int) -> None:
        where = f"at byte offset {self._bytes(begin)}"
        if not self._open:
            raise unparsed(f"Unexpected end tag {where}")
        self._at = begin + 2
        name = self._match(NAME).lower()
        self._match(SPACE)
        if self._next() != ">":
            raise unparsed(f"Unclosed end tag {where}")
        self._at += 1
        tag = self._open.pop()
        if name and name != tag.name:
            raise unparsed(
                f'Unmatched end tag {where}, expected "</{tag.name}>", found "</{name}>"'
            )
        self._close(tag)

    def _close(self, tag: _Tag) -> None:
        output = self._output
        if tag.name == "a":
            made = link(tag.attributes.get("href") or output.since(tag.part))
            if made is not None:
                output.entity(tag.offset, **made)
        elif tag.name == "blockquote" and "expandable" in tag.attributes:
            output.entity(tag.offset, type="expandable_blockquote")
        elif tag.name in {"pre", "code"} and self._joins_code(tag):
            return
        else:
            output.entity(tag.offset, type=KINDS[tag.name])
            if tag.name == "code" and output.entities and self._language(tag):
                output.entities[-1]["language"] = self._language(tag)

    def _joins_code(self, tag: _Tag) -> bool:
        """Return whether a pre and a code are one block of code with a language."""
        entities, offset = self._output.entities, tag.offset
        if not entities or entities[-1]["offset"] != offset:
            return False
        inner = entities[-1]
        if inner["length"] != self._output.length - offset:
            return False
        if tag.name == "pre" and inner["type"] == "code" and "language" in inner:
            inner["type"] = "pre"
            return True
        if tag.name == "code" and inner["type"] == "pre" and self._language(tag):
            inner["language"] = self._language(tag)
            return True
        return False

    def _language(self, tag: _Tag) -> str:
        named = tag.attributes.get("class", "")
        return named.removeprefix("language-") if named.startswith("language-") else ""

    def _match(self, pattern: re.Pattern[str]) -> str:
        matched = pattern.match(self._text, self._at)
        text = matched[0] if matched else ""
        self._at += len(text)
        return text

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _bytes(self, at: int) -> int:
        return len(self._text[:at].encode())


def _decoded(text: str) -> str:
    """Return a text with its character references resolved; an unknown one stays."""

    def character(reference: re.Match[str]) -> str:
        hexadecimal, decimal, name = reference.groups()
        if name:
            return NAMED[name]
        code = int(hexadecimal, 16) if hexadecimal else int(decimal)
        proper = 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - Unicode
        return chr(code) if proper else reference[0]

    return REFERENCE.sub(character, text) if "&" in text else text
