"""Times as entry ids tell them."""

from datetime import UTC, datetime, timedelta

FIRST = datetime.fromtimestamp(0, UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def moment(milliseconds: int) -> datetime:
    """Return the time of an entry id's first part; the last one there is for what is beyond it.

    Whoever may add an entry may give it any id, and those that follow without one come after it.
    """
    try:
        return FIRST + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return LAST
