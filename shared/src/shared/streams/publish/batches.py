"""Events on their way to the server, and the callers who wait for what becomes of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.streams.errors import EventRefusedError, TooLateError
from shared.streams.publish.outcomes import Outcome, Publication

TOGETHER = 60.0
"""Seconds within which events are handed over that may share a call, and with it its deadline."""


@dataclass(slots=True)
class Waiting:
    """Events of one source for one stream, and the caller who waits for their outcomes.

    `handed` is when they were handed over, by this machine's clock; `handed_there` the same by the
    server's, where that was known at the time.
    """

    stream: str
    source: str
    events: Sequence[tuple[str, bytes]]
    handed: float
    handed_there: float | None
    outcome: asyncio.Future[list[Publication | EventRefusedError]] = field(
        default_factory=asyncio.Future
    )

    def joins(self, other: "Waiting") -> bool:
        """Whether both may share a call."""
        same = (self.stream, self.source) == (other.stream, other.source)
        return same and abs(self.handed - other.handed) <= TOGETHER


def settle(waiting: Waiting, outcomes: Sequence[Outcome]) -> None:
    """Give a caller the outcomes, unless it has gone away; one that came too late ends the call."""
    if waiting.outcome.done():
        return
    known: list[Publication | EventRefusedError] = []
    for outcome in outcomes:
        if isinstance(outcome, TooLateError):
            waiting.outcome.set_exception(outcome)
            return
        known.append(outcome)
    waiting.outcome.set_result(known)


def fail(waiting: Waiting, error: BaseException) -> None:
    """Give a caller an error, unless it has gone away."""
    if not waiting.outcome.done():
        waiting.outcome.set_exception(error)
