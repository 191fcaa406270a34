"""Counters, gauges and histograms that cost a look into a dictionary where something is recorded.

What they hold becomes prometheus_client's text when somebody asks, in `exposition`; nothing here
needs that package. One process has one set of them, and one thread writes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")

Labels = tuple[str, ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Instrument(Generic[V]):
    """A named quantity, with a value for each combination of its labels.

    Args:
        name: as Prometheus has it, with the unit at its end.
        text: what it counts or tells, one sentence.
        labels: the names of its labels. Their values come from the code and from services.yml:
            never the id of a user, a chat or an event, which would be a series each.
    """

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self.series: dict[Labels, V] = {}


class Counter(Instrument[float]):
    """What only grows; where it has no label, or its label's values are known, it begins with 0."""

    def __init__(self, name: str, text: str, *labels: str, known: Iterable[str] = ()) -> None:
        super().__init__(name, text, *labels)
        self.series = {(value,): 0.0 for value in known} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count one more, or `by`."""
        self.series[labels] = self.series.get(labels, 0.0) + by


class Gauge(Instrument[float]):
    """What goes up and down; what is not known has no value, which is not 0."""

    def set(self, value: float | None, *labels: str) -> None:
        """Say how much it is now; None where nobody knows."""
        if value is None:
            self.series.pop(labels, None)
        else:
            self.series[labels] = float(value)

    def clear(self) -> None:
        """Say that nothing is known."""
        self.series.clear()


class Histogram(Instrument[list[float]]):
    """How often a value was at most so large; a series is the counts by bound, and the sum."""

    def __init__(
        self, name: str, text: str, *labels: str, bounds: Sequence[float] = SECONDS
    ) -> None:
        super().__init__(name, text, *labels)
        self.bounds = bounds

    def observe(self, value: float, *labels: str) -> None:
        """Record a value."""
        self.observe_all(((value, 1),), *labels)

    def observe_all(self, values: Iterable[tuple[float, int]], *labels: str) -> None:
        """Record values, each so many times."""
        counts = self.series.get(labels)
        if counts is None:
            counts = self.series[labels] = [0.0] * (len(self.bounds) + 2)
        bounds = self.bounds
        for value, times in values:
            counts[bisect_left(bounds, value)] += times
            counts[-1] += value * times
