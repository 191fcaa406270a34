"""Rules about more than one value: names that meet, graphs, ports, the environment.

Each rule is a function of its own that reports what it finds; none depends on another having
passed, so that one run tells everything.
"""

from collections.abc import Callable

from infra.stack.declared.rules.bots import tokens
from infra.stack.declared.rules.calls import calls
from infra.stack.declared.rules.context import Context
from infra.stack.declared.rules.copies import copies
from infra.stack.declared.rules.environment import environment, events, stand_ins
from infra.stack.declared.rules.graph import cycles, dependencies, health
from infra.stack.declared.rules.naming import limits, names, types
from infra.stack.declared.rules.ports import ports
from infra.stack.declared.rules.sources import folders, groups, variables
from infra.stack.declared.rules.updates import updates

RULES: tuple[Callable[[Context], None], ...] = (
    names,
    types,
    dependencies,
    cycles,
    health,
    environment,
    stand_ins,
    tokens,
    events,
    calls,
    ports,
    copies,
    updates,
    limits,
    folders,
    variables,
    groups,
)


def check(context: Context) -> None:
    """Run every rule."""
    for rule in RULES:
        rule(context)


__all__ = ("RULES", "Context", "check")
