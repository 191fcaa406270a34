"""parse_mode Markdown, the old one: nothing in it can be nested."""

from telegram_sim.formatting.formatted import Formatted, Output, link, unparsed

MARKS = "_*`["
FENCE = "```"


def parse_markdown(text: str) -> Formatted:
    """Return the text without its marks, and the entities that they made.

    Raises:
        BadRequestError: An entity has no end; the text says where it begins.
    """
    output = Output()
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\" and text[at + 1 : at + 2] in {*MARKS}:
            output.add(text[at + 1])
            at += 2
        elif character in MARKS:
            at = _entity(text, at, output)
        else:
            output.add(character)
            at += 1
    return output.formatted()


def _entity(text: str, begin: int, output: Output) -> int:
    """Read the entity that begins at a place; return the place after it."""
    fenced = text.startswith(FENCE, begin)
    mark = FENCE if fenced else text[begin]
    end_mark = "]" if mark == "[" else mark
    at = begin + len(mark)
    language = ""
    if fenced:
        language, at = read_language(text, at)
    end = text.find(end_mark, at)
    if end < 0:
        offset = len(text[:begin].encode())
        raise unparsed(f"Can't find end of the entity starting at byte offset {offset}")
    start = output.length
    inner = text[at:end]
    output.add(inner)
    after = end + len(end_mark)
    if fenced:
        output.entity(start, type="pre", **({"language": language} if language else {}))
    elif mark == "[":
        url, after = _url(text, after, inner)
        made = link(url)
        if made is not None:
            output.entity(start, **made)
    else:
        output.entity(start, type={"_": "italic", "*": "bold", "`": "code"}[mark])
    return after


def _url(text: str, at: int, inner: str) -> tuple[str, int]:
    if text[at : at + 1] != "(":
        return inner, at
    end = text.find(")", at)
    end = len(text) if end < 0 else end
    return text[at + 1 : end], end + 1


def read_language(text: str, at: int) -> tuple[str, int]:
    """Return the language after a fence, and the place where the code begins."""
    end = at
    while end < len(text) and not text[end].isspace() and text[end] != "`":
        end += 1
    language = ""
    if end < len(text) and text[end] != "`":
        language, at = text[at:end], end
    if text[at : at + 2] in {"\r\n", "\n\r"}:
        at += 2
    elif text[at : at + 1] in {"\r", "\n"}:
        at += 1
    return language, at
