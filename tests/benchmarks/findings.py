"""What was found: one line a comparison, with its target where there is one."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A bound: at least, or at most, so much of the ratio or of the value itself."""

    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        what: what was measured.
        unit: of the values.
        ours: the median of our runs.
        peer: whom we are compared with; empty for nobody.
        theirs: the median of the peer's runs; None without a peer.
        ratio: the median of the runs' ratios, so that a slow minute hits both sides of each.
        target: the bound that holds for the ratio, or for our value where there is no peer.
    """

    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.target.met(self.ours if self.ratio is None else self.ratio)

    @property
    def missed_by(self) -> str:
        """Return by how much the target is missed; empty where it is not."""
        if self.target is None or self.met:
            return ""
        value = self.ours if self.ratio is None else self.ratio
        return f"{abs(value - self.target.bound) / self.target.bound:.0%}"


@dataclass
class Report:
    """Everything that one run has found."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare(  # noqa: PLR0913, PLR0917 — a line of the table has that many cells
        self,
        what: str,
        unit: str,
        ours: Sequence[float],
        peer: str,
        theirs: Sequence[float],
        target: Target | None = None,
        *,
        inverse: bool = False,
    ) -> None:
        """Add a comparison of runs that took turns.

        Args:
            what: what was measured.
            unit: of the values.
            ours: our values, one a round.
            peer: whom we are compared with.
            theirs: the peer's values of the same rounds.
            target: the bound of the ratio ours / theirs.
            inverse: the ratio is theirs / ours: how many times faster, of durations.
        """
        pairs = list(zip(ours, theirs, strict=True))
        ratio = statistics.median(b / a if inverse else a / b for a, b in pairs)
        mine, peers = statistics.median(ours), statistics.median(theirs)
        self.findings.append(Finding(what, unit, mine, peer, peers, ratio, target))

    def state(
        self, what: str, unit: str, ours: Sequence[float], target: Target | None = None
    ) -> None:
        """Add a value of our own."""
        self.findings.append(Finding(what, unit, statistics.median(ours), target=target))

    def note(self, text: str) -> None:
        """Add what a reader of the table should know."""
        self.notes.append(text)
