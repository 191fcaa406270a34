"""When to try again: exponential back-off with jitter, and a log line once a change, not a try.

Why no library: tenacity and stamina wrap one call, and half of what waits here are loops that keep
a state from try to try; both tell of every try, neither of the end of an outage; neither notices
a cancellation that Python 3.11 has lost; and a call that works at once costs 3 µs here, 170 to
240 µs there, on the way of every entry that is acknowledged.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Backoff:
    """Delays that double from `first` to `most` seconds, each shortened by up to half at random."""

    __slots__ = ("failures", "first", "most")

    def __init__(self, first: float = 0.05, most: float = 2.0) -> None:
        self.first = first
        self.most = most
        self.failures = 0

    def next(self) -> float:
        """Count one more failure and return the seconds to wait."""
        delay = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 — jitter, not a secret

    def reset(self) -> None:
        """Start again from the first delay: something worked."""
        self.failures = 0


class Outage:
    """Tells once that something is away, again where the reason is another, once that it is back.

    Args:
        away: the event of the log line when it is away, such as `redis unavailable`.
        back: the event when it is back.
        details: what both lines say besides.
    """

    __slots__ = ("_away", "_back", "_details", "reason", "since")

    def __init__(self, away: str, back: str, **details: Any) -> None:
        self._away = away
        self._back = back
        self._details = details
        self.reason: str | None = None
        self.since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the last try failed."""
        return self.since is not None

    @property
    def seconds(self) -> float:
        """Return for how long it has lasted; 0 where the last try worked."""
        return 0.0 if self.since is None else monotonic() - self.since

    def failed(self, error: BaseException | str, started: float | None = None) -> None:
        """Note a failed try that began at `started` (`monotonic` seconds); log a new reason."""
        self.since = self.since or started or monotonic()
        reason = error if isinstance(error, str) else describe(error)
        if reason != self.reason:
            self.reason = reason
            log.warning(self._away, **self._details, reason=reason)

    def worked(self) -> None:
        """Note a try that worked; it is logged when the one before it had not."""
        if self.since is not None:
            log.info(self._back, **self._details, seconds=round(self.seconds, 1))
            self.since = self.reason = None


async def until_it_works(
    call: Callable[[], Awaitable[T]],
    outage: Outage,
    passes: Callable[[Exception], bool],
    *,
    backoff: Backoff | None = None,
    asked: Callable[[Exception], float] | None = None,
) -> T:
    """Make a call again and again until it works; an outage meanwhile is told once.

    Args:
        call: what may be done more than once without harm.
        outage: what tells of it.
        passes: whether an error will pass; one that will not is raised.
        backoff: how long to wait between two tries.
        asked: the seconds that whoever refused has asked for; the wait is not shorter.
    """
    backoff = backoff or Backoff()
    started = monotonic()
    while True:
        try:
            answer = await call()
        except Exception as error:
            if not passes(error):
                raise
            outage.failed(error, started)
            check_cancelled()
            await asyncio.sleep(max(backoff.next(), asked(error) if asked else 0.0))
        else:
            outage.worked()
            return answer


def check_cancelled() -> None:
    """Raise CancelledError where this task was cancelled and the cancellation got lost.

    redis-py sends within `asyncio.wait_for`, which swallows a cancellation that comes in the same
    turn as the result, before Python 3.12 (bugs.python.org/issue37658).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def jitter() -> float:
    """Return a factor around 1 for a pause, so that processes that share some work take turns."""
    return random.uniform(0.8, 1.2)  # noqa: S311 — no secret


def describe(error: BaseException) -> str:
    """Return an error in one short line: that of the driver where SQLAlchemy has wrapped one.

    A wrapper's own text holds the statement and its values.
    """
    inside = getattr(error, "orig", None)
    cause = inside if isinstance(inside, BaseException) else error
    text = str(cause).splitlines()[0] if str(cause) else ""
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
