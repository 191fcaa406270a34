"""Looking for a history that breaks a claim; the shortest one is returned as Python that makes it.

The seed decides the histories, so the same seed finds the same again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import structlog
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.histories.claims import broken
from tests.chaos.histories.clock import ServerWithClock, production_reads
from tests.chaos.histories.machine import Histories
from tests.chaos.histories.process import over_wires
from tests.chaos.histories.sabotage import without
from tests.chaos.histories.world import World

RULES = (
    *("write", "poll", "run", "sleep", "kill", "freeze", "thaw", "replay", "drop", "mend"),
    *("forget", "fill", "restart", "foreign"),
)
"""What may happen: the rules of `Histories`."""
STEPS = 25
"""What may happen in one history, at most."""


def search(
    count: int,
    start: int,
    protection: str = "",
    *,
    only: Sequence[str] = RULES,
    shorten: bool = True,
) -> str | None:
    """Return the history that breaks a claim, and which claim; None where none of `count` does.

    Args:
        count: histories to try.
        start: the seed; decides which.
        protection: what the production code is to work without, of `sabotage.PROTECTIONS`.
        only: what may happen, in histories that are short then.
        shorten: whether to look for the shortest one that fails.
    """
    machine = type("Chosen", (Histories,), dict.fromkeys(set(RULES) - set(only)))
    phases = [Phase.generate, *([Phase.shrink] if shorten else [])]
    asked = settings(
        max_examples=count,
        stateful_step_count=STEPS if only is RULES else len(only) + 2,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
    )
    # Hypothesis' own lines repeat what its exception says.
    with on_a_server(protection), with_reporter(lambda _: None):
        try:
            run_state_machine_as_test(seed(start)(machine), settings=asked)
        except (AssertionError, ExceptionGroup) as error:
            return "\n".join([*Histories.broken, "", *getattr(error, "__notes__", [])])
    return None


def act(history: Callable[[World], None], protection: str = "") -> list[str]:
    """Let one history happen; return the claims that are broken after it, and then in quiet."""
    with on_a_server(protection):
        machine = Histories()
        try:
            history(machine.world)
            return broken(machine.world) or machine.quiet()
        finally:
            machine.world.close()


@contextmanager
def on_a_server(protection: str) -> Iterator[None]:
    """Have a server for histories, and production code that works without a protection."""
    with ExitStack() as stack:
        stack.enter_context(quiet())
        server = stack.enter_context(ServerWithClock())
        Histories.server = server
        stack.enter_context(production_reads(server.clock))
        stack.enter_context(over_wires())
        stack.enter_context(without(protection))
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the lines that the production code logs to itself."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)
