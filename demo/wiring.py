"""What each service's variables are worth when the stack runs as processes of this machine."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.stack import Plan, Reference, Service, Variable

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True)
class Wiring:
    """The addresses of one run: a port for each name and a folder for what is kept."""

    plan: Plan
    folder: Path
    ports: Mapping[str, int]
    health_ports: Mapping[str, int]

    @classmethod
    def make(cls, plan: Plan, folder: Path) -> "Wiring":
        """Choose free ports for every service and part of the infrastructure."""
        names = [*(part.name for part in plan.infrastructure), *(s.name for s in plan.services)]
        free = free_ports(2 * len(names))
        return cls(
            plan,
            folder,
            dict(zip(names, free[: len(names)], strict=True)),
            dict(zip(names, free[len(names) :], strict=True)),
        )

    def variables(self, service: Service) -> dict[str, str]:
        """Return a service's environment, as `services.yml` declares it."""
        provided = {
            given.name: self.value(given.reference) if given.reference else given.value or ""
            for other in self.plan.running("dev", ["sim"])
            for given in other.provides
        }
        values = {variable.name: self._variable(variable) for variable in service.env}
        values |= {name: value for name, value in provided.items() if name in values}
        return {name: value for name, value in values.items() if value}

    def value(self, reference: Reference) -> str:
        """Return an address or folder that a variable refers to."""
        name = reference.target
        if reference.attribute == "url":
            return self._url(reference)
        found = {
            "host": LOCALHOST,
            "bind": LOCALHOST,
            "port": str(self.ports[name]),
            "health_port": str(self.health_ports[name]),
            "data": str(self.folder),
        }
        return found[reference.attribute] + reference.path

    def health_url(self, service: Service) -> str:
        """Return the URL that answers 200 when the service is healthy."""
        if service.health is None:
            raise ValueError(f"{service.name} has no health check")
        apart = service.health.port != service.port
        port = (self.health_ports if apart else self.ports)[service.name]
        return f"http://{LOCALHOST}:{port}{service.health.path}"

    def url(self, name: str) -> str:
        """Return the base URL of a service."""
        return f"http://{LOCALHOST}:{self.ports[name]}"

    @property
    def database(self) -> Path:
        """Return the SQLite file that stands in for PostgreSQL."""
        return self.folder / "backend.sqlite3"

    def _url(self, reference: Reference) -> str:
        if reference.scheme.startswith("postgresql"):
            return f"sqlite+aiosqlite:///{self.database}"
        port = self.ports[reference.target]
        return f"{reference.scheme}://{LOCALHOST}:{port}{reference.path}"

    def _variable(self, variable: Variable) -> str:
        if variable.reference is not None:
            return self.value(variable.reference)
        return variable.value or ""


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that nobody listens on, all different."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((LOCALHOST, 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
