"""From a path to a plan: read, validate, plan."""

from dataclasses import dataclass
from pathlib import Path

from infra.places.diagnostics import Diagnostic, Position, Report
from infra.places.reading import Reading
from infra.places.source import Source, read
from infra.stack.declared.declaration import STACK
from infra.stack.declared.events import declared_events
from infra.stack.declared.rules import Context, check
from infra.stack.declared.sources import sources_of
from infra.stack.plan import Plan
from infra.stack.planning import make_plan


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan, the file it came from, and what is probably not meant in it.

    `written` has, by the name of a service or infrastructure, the keys that the file gives for it;
    everything else about it is a default.
    """

    plan: Plan
    source: Source
    warnings: tuple[Diagnostic, ...]
    written: dict[str, frozenset[str]]


def load_plan(path: Path) -> Plan:
    """Return the plan of a services.yml; events are looked up beside it in shared/spec.

    Raises:
        InputError: the file cannot be read or has mistakes; `str()` of it is the whole message.
    """
    return load(path).plan


def load(path: Path, *, complete: bool = False) -> Loaded:
    """Return the plan with its source and warnings; the same promises as `load_plan`.

    Args:
        path: the services.yml.
        complete: whether each service has to have a folder.
    """
    source = read(path, path.name)
    report = Report()
    if source.root is None:
        report.error(Position(1, 1), "the file is empty; it needs version, project and services")
        raise source.invalid(report)
    reading = Reading(report)
    stack = STACK.read(source.root, (), reading)
    events = declared_events(path.parent)
    names = [channel.address for channel in events or ()]
    sources = sources_of(path.parent, names, complete=complete)
    check(Context(stack, reading, events, sources))
    if report.errors:
        raise source.invalid(report)
    written = {service.name: reading.keys_below(service.at) for service in stack.services}
    written |= {name: reading.keys_below(part.at) for name, part in stack.infrastructure.items()}
    return Loaded(make_plan(stack, reading, events or ()), source, report.warnings, written)
