"""Looking for a history that breaks a claim; the shortest one is returned as Python that makes it.

The seed decides the histories, so the same seed finds the same again.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.reporting import with_reporter

from tests.chaos.histories.claims import broken
from tests.chaos.histories.clock import ServerWithClock, production_reads
from tests.chaos.histories.likelihood import histories
from tests.chaos.histories.process import over_wires
from tests.chaos.histories.publishing import lasting_leases
from tests.chaos.histories.quiet import quiet
from tests.chaos.histories.sabotage import without
from tests.chaos.histories.steps import Step
from tests.chaos.histories.world import World


@dataclass(frozen=True, slots=True)
class Broken:
    """A history that breaks claims, and how many were tried until one did."""

    history: Sequence[Step]
    claims: Sequence[str]
    tried: int

    def __str__(self) -> str:
        """Return the claims, and the history as a list in Python."""
        return "\n".join([*self.claims, "", "[", *(f"    {step}," for step in self.history), "]"])


def search(count: int, start: int, protection: str = "", *, shorten: bool = True) -> Broken | None:
    """Return the history that breaks a claim; None where none of `count` does.

    Args:
        count: histories to try.
        start: the seed; decides which.
        protection: what the production code is to work without, of `sabotage.PROTECTIONS`.
        shorten: whether to look for the shortest one that fails.
    """
    last: list[Broken] = []
    tried = 0
    with on_a_server(protection) as server:

        def happens(history: Sequence[Step]) -> None:
            nonlocal tried
            tried += not last
            if claims := play(history, server):
                last[:] = [Broken(history, claims, tried)]
                raise AssertionError

        asked = settings(
            max_examples=count,
            phases=[Phase.generate, *([Phase.shrink] if shorten else [])],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        # Hypothesis' own lines repeat what is returned.
        with with_reporter(lambda _: None):
            try:
                seed(start)(asked(given(histories())(happens)))()
            except (AssertionError, ExceptionGroup):
                if not last:
                    raise
    return last[0] if last else None


def act(history: Sequence[Step], protection: str = "") -> Sequence[str]:
    """Let one history happen; return the claims that it breaks."""
    with on_a_server(protection) as server:
        return play(history, server)


def play(history: Sequence[Step], server: ServerWithClock) -> Sequence[str]:
    """Let a history happen in a world of its own; return the claims that break first."""
    world = World(server)
    try:
        for step in history:
            step(world)
            if claims := broken(world):
                return claims
        return quiet(world)
    finally:
        world.close()


@contextmanager
def on_a_server(protection: str) -> Iterator[ServerWithClock]:
    """Have a server for histories, and production code that works without a protection."""
    with ExitStack() as stack:
        stack.enter_context(without_logs())
        server = stack.enter_context(ServerWithClock())
        stack.enter_context(production_reads(server.clock))
        stack.enter_context(over_wires())
        stack.enter_context(lasting_leases())
        stack.enter_context(without(protection))
        yield server


@contextmanager
def without_logs() -> Iterator[None]:
    """Keep the lines that the production code logs to itself."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)
