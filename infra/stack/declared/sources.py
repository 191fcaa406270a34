"""What is in the services' folders, as far as services.yml has to agree with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.stack.declared.calls import Use, uses_of
from infra.stack.declared.reads import Read, reads_of


@dataclass(frozen=True, slots=True)
class Sources:
    """What a repository's services do.

    Attributes:
        folders: the services that have a folder; None where nobody is to miss any.
        uses: by service, what its sources do with events; nothing for one without sources.
        reads: by service, the variables that its sources read.
    """

    folders: frozenset[str] | None
    uses: Mapping[str, tuple[Use, ...]]
    reads: Mapping[str, tuple[Read, ...]]


def sources_of(repository: Path, events: Iterable[str], *, complete: bool) -> Sources:
    """Return what the services of a repository do.

    Args:
        repository: its root. Where it has no folder `services`, as the examples, none is missed.
        events: the events that there are.
        complete: whether each service has to have a folder.
    """
    services = repository / "services"
    names = [path.name for path in services.glob("*/")] if services.is_dir() else []
    return Sources(
        folders=frozenset(names) if complete and services.is_dir() else None,
        uses=uses_of(repository, events),
        reads={name: reads_of(repository, name) for name in names},
    )
