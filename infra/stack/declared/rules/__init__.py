"""Rules about more than one value: names that meet, graphs, ports, the environment.

Each rule is a function of its own that reports what it finds; none depends on another having
passed, so that one run tells everything.
"""

from collections.abc import Callable

from infra.stack.declared.rules.calls import calls
from infra.stack.declared.rules.context import Context
from infra.stack.declared.rules.environment import environment, events, stand_ins
from infra.stack.declared.rules.graph import cycles, dependencies, health
from infra.stack.declared.rules.naming import limits, names, types
from infra.stack.declared.rules.ports import ports

RULES: tuple[Callable[[Context], None], ...] = (
    names,
    types,
    dependencies,
    cycles,
    health,
    environment,
    stand_ins,
    events,
    calls,
    ports,
    limits,
)


def check(context: Context) -> None:
    """Run every rule."""
    for rule in RULES:
        rule(context)


__all__ = ("RULES", "Context", "check")
