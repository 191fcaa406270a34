"""What a declaration means where it says nothing: ports, health checks, limits, commands."""

from dataclasses import dataclass

from infra.stack import declaration
from infra.stack.plan import Health, Resources

HTTP_PORT = 8000
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
            command=("sh", "-c", '[ "$(redis-cli ping)" = PONG ]'),
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


def default_health(service: declaration.Service) -> Health | None:
    """Return the health check of a service that declares none."""
    if service.type == "python-fastapi":
        return Health(path="/health", port=port_of(service))
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
