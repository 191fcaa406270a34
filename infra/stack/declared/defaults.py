"""What a declaration means where it says nothing: ports, health checks, limits, commands."""

from dataclasses import dataclass

from infra.stack.declared import declaration
from infra.stack.declared.declaration import HTTP_PORT
from infra.stack.plan import Health, Resources

HEALTH_PORTS = {"python-fastapi": HTTP_PORT, "python-faststream": 8080}
SERVICE_RESOURCES = Resources(cpus="1.0", memory="256M", pids=128)
SERVICE_GRACE = "20s"
PYTHON_USER = "10001:10001"


@dataclass(frozen=True, slots=True)
class Kind:
    """What an infrastructure type brings along."""

    port: int
    scheme: str
    health: Health
    resources: Resources
    grace: str
    secrets: tuple[tuple[str, str], ...] = ()


INFRASTRUCTURE = {
    "redis": Kind(
        port=6379,
        scheme="redis",
        # `redis-cli ping` exits with 0 whatever the answer is, LOADING and MISCONF too.
        health=Health(
            command=("sh", "-c", '[ "$(redis-cli --user operator ping)" = PONG ]'),
            interval="2s",
            retries=30,
            start_period="60s",
        ),
        resources=Resources(cpus="1.0", memory="512M", pids=64),
        grace="30s",
    ),
    "postgres": Kind(
        port=5432,
        scheme="postgresql",
        # While the data folder is made, a server answers on the socket only: ask over TCP.
        health=Health(
            command=("pg_isready", "--quiet", "--host", "127.0.0.1"),
            interval="2s",
            retries=30,
            start_period="60s",
        ),
        resources=Resources(cpus="1.0", memory="512M", pids=128),
        grace="60s",
        secrets=(("PASSWORD", "Password of the database's user."),),
    ),
}


def port_of(service: declaration.Service) -> int:
    """Return the port that the service serves, or 0."""
    return service.port or (HTTP_PORT if service.type == "python-fastapi" else 0)


LOGS = {
    "LOG_LEVEL": declaration.Variable(
        default="INFO",
        description="Least severe log lines to write: DEBUG, INFO, WARNING or ERROR.",
    ),
    "LOG_FORMAT": declaration.Variable(
        default="json", description="Form of a log line: json, or console for a person."
    ),
}
TYPE_VARIABLES = {
    "python-fastapi": {
        "HTTP_HOST": declaration.Variable(
            source="self.bind", description="Address that it listens on."
        ),
        "HTTP_PORT": declaration.Variable(
            source="self.port", description="Port that it listens on."
        ),
        **LOGS,
    },
    "python-faststream": {
        "HEALTH_PORT": declaration.Variable(
            source="self.health_port", description="Port of its own /health."
        ),
        **LOGS,
    },
}


def variables_of(service: declaration.Service) -> dict[str, declaration.Variable]:
    """Return a service's variables: what its type brings along, and what it declares."""
    brought = dict(TYPE_VARIABLES.get(service.type, {}))
    if service.health and not service.health.http:
        brought.pop("HEALTH_PORT", None)
    return {
        **service.env,
        **{name: one for name, one in brought.items() if name not in service.env},
    }


def default_health(service: declaration.Service) -> Health | None:
    """Return the health check of a service that declares none."""
    if service.health is None and service.type in HEALTH_PORTS:
        return Health(path="/health", port=port_of(service) or HEALTH_PORTS[service.type])
    return None


def attributes_of(
    part: declaration.Service | declaration.Infrastructure, *, itself: bool
) -> set[str]:
    """Return the attributes of a reference that have a value for this target."""
    if isinstance(part, declaration.Infrastructure):
        return {"url", "host", "port"}
    valid = {"host"}
    if port_of(part):
        valid |= {"url", "port"}
    if not itself:
        return valid
    if part.data:
        valid |= {"data"}
    if (part.health and part.health.http) or default_health(part):
        valid |= {"health_port"}
    return valid | {"bind"}
