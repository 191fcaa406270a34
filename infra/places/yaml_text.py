"""Plain data as YAML text: a scalar, a value in one line, the entries of a mapping line by line."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = re.compile(
    r"[A-Za-z_/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*"
    r"|([0-9]+(\.[0-9]+)?(ms|[hmsKMG]))+"
    r"|\$\{[^\"'{}#\s]*\}"
)
ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML refuses in a file, or takes for the end of a line, and JSON writes as it is."""
NOT_TEXT = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~")


def scalar(value: Any) -> str:
    """Return a single value: plain where that is safe and quoted everywhere else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if PLAIN.fullmatch(value) and not NOT_TEXT.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", shown)


def line(value: Any) -> str:
    """Return any value in one line; the texts of a list are quoted."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_item(key)}: {_item(item)}' for key, item in value.items())}}}"
    if _is_list(value):
        return f"[{', '.join(_quoted(item) for item in value)}]"
    return scalar(value)


def _item(value: Any) -> str:
    """Return a key or value of a mapping in one line, where a colon ends a plain text."""
    return _quoted(value) if isinstance(value, str) and ":" in value else line(value)


def block(table: Mapping[str, Any], *names: str, depth: int = 1, indent: int = 4) -> str:
    """Return those entries of a mapping that are there, in the order of the names.

    Args:
        table: the mapping.
        names: the keys of the entries.
        depth: how many levels of a value have a line an entry; what is deeper is in one line.
        indent: where the lines begin.
    """
    entries = (text for name in names if name in table for text in _lines(name, table[name], depth))
    return "".join(f"{' ' * indent}{text}\n" for text in entries)


def _lines(name: str, value: Any, depth: int) -> Iterator[str]:
    if not value or not depth or not (isinstance(value, Mapping) or _is_list(value)):
        yield f"{scalar(name)}: {line(value)}"
        return
    yield f"{scalar(name)}:"
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (f"  {text}" for text in _lines(key, item, depth - 1))
    else:
        yield from (f"  - {line(item)}" for item in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
