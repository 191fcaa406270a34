"""What a change of one keyword of a schema does: it refuses what was let in, or lets in more."""

from collections.abc import Iterator
from typing import Any

LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
LISTS = frozenset({"enum", "const"})
RESTRICTIONS = frozenset({"pattern", "uniqueItems", "multipleOf", "additionalProperties"})

Difference = tuple[str, bool]
"""What differs, and whether that breaks."""


def differences(keyword: str, was: Any, now: Any) -> Iterator[Difference]:
    """Yield what a change of a keyword's value does; None stands for a keyword that is not there.

    A keyword that is not known here, `format` among them, breaks whenever it changes: a format
    decides the type in a generated model.
    """
    if was == now:
        return
    if keyword in LISTS:
        yield from _values(_listed(keyword, was), _listed(keyword, now))
    elif was is None:
        yield f"{keyword} {_shown(now)} is new", not _widens(keyword, was, now)
    elif now is None:
        yield f"{keyword} {_shown(was)} is gone", not _widens(keyword, was, now)
    else:
        reason = f"{keyword} was {_shown(was)} and is {_shown(now)}"
        yield reason, not _widens(keyword, was, now)


def _widens(keyword: str, was: Any, now: Any) -> bool:
    """Say whether everything that was let in before still is."""
    if keyword in LOWER_BOUNDS:
        return now is None or (was is not None and now < was)
    if keyword in UPPER_BOUNDS:
        return now is None or (was is not None and now > was)
    return keyword in RESTRICTIONS and now is None


def _values(before: list[Any] | None, after: list[Any] | None) -> Iterator[Difference]:
    """Compare the values that may stand somewhere; None stands for any value."""
    if before is None:
        yield f"only {_list(after)} may stand here", True
        return
    if after is None:
        yield f"not only {_list(before)} may stand here", False
        return
    gone = [value for value in before if value not in after]
    new = [value for value in after if value not in before]
    if gone:
        yield f"{_list(gone)} may no longer stand here", True
    if new:
        yield f"{_list(new)} may stand here as well", False


def _listed(keyword: str, value: Any) -> list[Any] | None:
    if value is None:
        return None
    return [value] if keyword == "const" else list(value)


def _list(values: list[Any] | None) -> str:
    return ", ".join(repr(value) for value in values or ())


def _shown(value: Any) -> str:
    return "(a schema)" if isinstance(value, (dict, list)) else repr(value)
