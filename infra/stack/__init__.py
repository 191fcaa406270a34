"""services.yml, declared once: load → validate → plan → render → write | check.

`load_plan` is what other tools use; `python -m infra.stack` is the command.
"""

from infra.places.diagnostics import InputError, InvalidInputError
from infra.stack.loading import load_plan
from infra.stack.plan import (
    BOT_TOKEN,
    Dependency,
    Event,
    Health,
    HostPort,
    Infrastructure,
    Plan,
    Provided,
    Reference,
    Resources,
    Service,
    Variable,
)

__all__ = (
    "BOT_TOKEN",
    "Dependency",
    "Event",
    "Health",
    "HostPort",
    "Infrastructure",
    "InputError",
    "InvalidInputError",
    "Plan",
    "Provided",
    "Reference",
    "Resources",
    "Service",
    "Variable",
    "load_plan",
)
