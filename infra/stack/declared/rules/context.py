"""What the rules look at: the declaration, its places, and the events that exist."""

from collections.abc import Iterable, Iterator

from infra.places.reading import Reading
from infra.stack.declared.declaration import Infrastructure, Service, Stack, Variable
from infra.stack.declared.events import Channel
from infra.stack.declared.sources import Sources

Part = Service | Infrastructure


class Context:
    """What the rules look at: the declaration, its places, and what is declared elsewhere.

    Args:
        stack: the declaration.
        reading: where everything in it was written.
        events: the events that are declared; None where no file declares any.
        sources: what is in the services' folders.
    """

    def __init__(
        self,
        stack: Stack,
        reading: Reading,
        events: Iterable[Channel] | None,
        sources: Sources,
    ) -> None:
        self.stack = stack
        self.reading = reading
        self.events = None if events is None else tuple(event.address for event in events)
        self.sources = sources
        self.services: dict[str, Service] = {}
        for service in stack.services:
            self.services.setdefault(service.name, service)
        self.parts: dict[str, Part] = {**stack.infrastructure, **self.services}

    def error(self, message: str, *at: str | int, key: bool = False) -> None:
        """Report a mistake at a path, at its key or its value."""
        place = self.reading.key(*at) if key else self.reading.value(*at)
        self.reading.report.error(place, message)

    def warn(self, message: str, *at: str | int) -> None:
        """Report something that works but is probably not meant."""
        self.reading.report.warning(self.reading.value(*at), message)

    def variables(self) -> Iterator[tuple[Service, str, Variable]]:
        """Return every variable of every service."""
        for service in self.stack.services:
            for name, variable in service.env.items():
                yield service, name, variable
