"""What a declaration means where it says nothing: ports, health checks, limits, commands."""

from dataclasses import dataclass

from infra.stack import plan
from infra.stack.declared import declaration
from infra.stack.declared.words import HTTP_PORT
from infra.stack.plan import Health, Resources


@dataclass(frozen=True, slots=True)
class Ready:
    """What a service type with a ready-made program brings along."""

    port: int
    command: tuple[str, ...]
    health: tuple[str, ...]
    data: str
    user: str = "65534:65534"


READY = {
    "prometheus": Ready(
        port=9090,
        command=(
            "--config.file=/etc/prometheus/prometheus.yml",
            *("--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=15d"),
            "--storage.tsdb.retention.size=1GB",
        ),
        health=("promtool", "check", "healthy", "--url=http://127.0.0.1:9090"),
        data="/prometheus",
    ),
    "alertmanager": Ready(
        port=9093,
        # One is no cluster, and nobody needs to reach it as a member of one.
        command=("--storage.path=/alertmanager", "--cluster.listen-address="),
        health=("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "query"),
        data="/alertmanager",
    ),
    "caddy": Ready(
        port=8443,
        command=("run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"),
        health=("wget", "--quiet", "--output-document=/dev/null", "http://127.0.0.1:2020/"),
        data="/var/lib/caddy",
    ),
}
CADDY_PORTS: dict[plan.Overlay, tuple[plan.HostPort, ...]] = {
    "prod": (plan.HostPort(443, 8443, "0.0.0.0", "Telegram brings updates to it."),)  # noqa: S104 — rendered, never bound
}
"""Host ports of a Caddy that declares none."""
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
    if service.type in READY:
        return READY[service.type].port
    serves = service.type == "python-fastapi" or service.updates == "webhook"
    return service.port or (HTTP_PORT if serves else 0)


def data_of(service: declaration.Service) -> str:
    """Return the folder of the service that outlives its container, or ''."""
    return READY[service.type].data if service.type in READY else service.data


def user_of(service: declaration.Service) -> str:
    """Return user and group that the service runs as; '' for those of its image."""
    if service.type in READY:
        return READY[service.type].user
    return service.user or ("" if service.image else PYTHON_USER)


def command_of(service: declaration.Service) -> tuple[str, ...]:
    """Return the arguments that start the service; none for those of its image."""
    if service.type in READY:
        return service.command or READY[service.type].command
    return service.command or (() if service.image else ("python", "-m", service.name))


LOGS = {
    "LOG_LEVEL": declaration.Variable(
        default="INFO",
        description="Least severe log lines to write: DEBUG, INFO, WARNING or ERROR.",
    ),
    "LOG_FORMAT": declaration.Variable(
        default="json", description="Form of a log line: json, or console for a person."
    ),
}
TRACES = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": declaration.Variable(
        default="",
        description="Collector that takes traces, as http://host:4318; empty for no traces.",
    ),
    "OTEL_TRACES_SAMPLER": declaration.Variable(
        default="parentbased_always_on",
        description="Which traces are recorded, as OpenTelemetry names samplers.",
    ),
    "OTEL_TRACES_SAMPLER_ARG": declaration.Variable(
        default="1.0", description="Share of the traces that a ratio sampler records, 0 to 1."
    ),
}
TYPE_VARIABLES = {
    "alertmanager": {
        "ALERT_WEBHOOK_URL": declaration.Variable(
            secret=True, description="Where alerts are sent, as Alertmanager's webhook has them."
        ),
    },
    "python-fastapi": {
        "HTTP_HOST": declaration.Variable(
            source="self.bind", description="Address that it listens on."
        ),
        "HTTP_PORT": declaration.Variable(
            source="self.port", description="Port that it listens on."
        ),
        **LOGS,
        **TRACES,
    },
    "python-faststream": {
        "HEALTH_PORT": declaration.Variable(
            source="self.health_port", description="Port of its own /health."
        ),
        **LOGS,
        **TRACES,
    },
}


WEBHOOK_VARIABLES = {
    "WEBHOOK_URL": declaration.Variable(
        default="", description="Where Telegram brings updates; empty where the bot polls."
    ),
    "WEBHOOK_IP_ADDRESS": declaration.Variable(
        default="",
        description="Public address of this server, for Telegram; empty to look up the host name.",
    ),
    "WEBHOOK_HOST": declaration.Variable(
        source="self.bind", description="Address that it listens on for updates."
    ),
    "WEBHOOK_PORT": declaration.Variable(
        source="self.port", description="Port that it listens on for updates."
    ),
}
"""What a bot reads to have updates brought to it; one that polls need not declare them."""


def variables_of(service: declaration.Service) -> dict[str, declaration.Variable]:
    """Return a service's variables: what its type brings along, and what it declares."""
    brought = dict(TYPE_VARIABLES.get(service.type, {}))
    if service.updates == "webhook":
        brought |= WEBHOOK_VARIABLES
    if service.type == "caddy":
        brought |= _of_caddy(service)
    if service.health and not service.health.http:
        brought.pop("HEALTH_PORT", None)
    return {
        **service.env,
        **{name: variable for name, variable in brought.items() if name not in service.env},
    }


def _of_caddy(service: declaration.Service) -> dict[str, declaration.Variable]:
    """Return the variables of a Caddy: its host name, and a certificate that it is given."""
    why = "Host name under which Telegram brings updates."
    variables = {"WEBHOOK_DOMAIN": declaration.Variable(default=service.host, description=why)}
    if service.certificate == "given":
        for name, what in (("CERTIFICATE", "Certificate, with its chain"), ("KEY", "Key")):
            variables[f"WEBHOOK_{name}"] = declaration.Variable(
                secret=True, description=f"{what} of that host name, as PEM."
            )
    return variables


def default_health(service: declaration.Service) -> Health | None:
    """Return the health check of a service that declares none."""
    if service.health is None and service.type in READY:
        return Health(command=READY[service.type].health)
    if service.health is None and service.type in HEALTH_PORTS:
        return Health(path="/health", port=port_of(service) or HEALTH_PORTS[service.type])
    return None


def has_metrics(service: declaration.Service) -> bool:
    """Say whether the service answers /metrics at the port of its health check.

    A stand-in is not ours, and has none.
    """
    if service.type in plan.READY_MADE or service.provides:
        return False
    return bool(service.health.http) if service.health else default_health(service) is not None


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
    if data_of(part):
        valid |= {"data"}
    if (part.health and part.health.http) or default_health(part):
        valid |= {"health_port"}
    return valid | {"bind"}
