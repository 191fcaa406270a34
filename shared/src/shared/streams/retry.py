"""When to try again: exponential backoff with jitter, and a log line once a change, not a try."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import structlog
from redis import exceptions as redis_errors

log = structlog.get_logger(__name__)

T = TypeVar("T")

UNKNOWN = (redis_errors.RedisError, OSError, TimeoutError)
"""What a Redis call can raise without telling whether the command was carried out."""


@dataclass(slots=True)
class Backoff:
    """Delays that double from `first` to `most` seconds, each shortened by up to half at random."""

    first: float = 0.05
    most: float = 2.0
    failures: int = 0

    def next(self) -> float:
        """Count one more failure and return the seconds to wait."""
        delay = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 — jitter, not a secret

    def reset(self) -> None:
        """Start again from the first delay: something worked."""
        self.failures = 0


@dataclass(slots=True)
class Outage:
    """Tells once that Redis is away for a purpose and once that it is back."""

    purpose: str
    reason: str | None = None
    since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the last try failed."""
        return self.since is not None

    @property
    def seconds(self) -> float:
        """Return for how long it has lasted; 0 where the last try worked."""
        return 0.0 if self.since is None else monotonic() - self.since

    def failed(self, error: BaseException, started: float | None = None) -> None:
        """Note a failed try that began at `started`; a new reason is logged."""
        self.since = self.since or started or monotonic()
        reason = describe(error)
        if reason != self.reason:
            self.reason = reason
            log.warning("redis unavailable", purpose=self.purpose, reason=reason)

    def worked(self) -> None:
        """Note a try that worked; it is logged when the one before it had not."""
        if self.since is not None:
            log.info("redis available", purpose=self.purpose, seconds=round(self.seconds, 1))
            self.since = self.reason = None


def check_cancelled() -> None:
    """Raise CancelledError where this task was cancelled and the cancellation got lost.

    redis-py sends within `asyncio.wait_for`, which swallows a cancellation that comes in the same
    turn as the result, before Python 3.12 (bugs.python.org/issue37658).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until_answered(
    call: Callable[[], Awaitable[T]],
    outage: Outage,
    answers: tuple[type[redis_errors.ResponseError], ...] = (),
) -> T:
    """Make a repeatable call again and again until Redis has answered it.

    For calls that may be carried out more than once without harm: after an error nobody knows
    whether the one before it was. Errors that are among `answers` are raised.
    """
    backoff = Backoff()
    started = monotonic()
    while True:
        try:
            answer = await call()
        except answers:
            outage.worked()
            raise
        except UNKNOWN as error:
            outage.failed(error, started)
            check_cancelled()
            await asyncio.sleep(backoff.next())
        else:
            outage.worked()
            return answer


def describe(error: BaseException) -> str:
    """Return an error in one short line."""
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
