"""The finished plan: plain, frozen data that the templates, `make demo` and `deploy/` read.

Nothing in here is computed from the machine or the environment, so two plans of one services.yml
are equal. `load_plan` makes one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Overlay = Literal["dev", "tests", "prod"]
OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
Kind = Literal["value", "default", "from", "secret", "required"]
Attribute = Literal["url", "host", "port", "health_port", "bind", "data", "public"]
BOT_TOKEN = "TELEGRAM_BOT_TOKEN"  # noqa: S105  a variable's name
"""The variable that makes a service a bot."""
READY_MADE = frozenset({"image", "prometheus", "alertmanager", "caddy"})
"""Types of service that are not built from services/Dockerfile."""
WATCHING = frozenset({"prometheus", "alertmanager"})
"""Those that answer at their port whether they work, at /-/healthy."""
EGRESS = "egress"
"""The network that leads out."""
COPIES = 3
"""How many copies a store may have, besides one: the fewest that have a majority without one."""
COMPANIONS = {"redis": "sentinel", "postgres": "etcd"}
"""What runs beside a copy, by the type of the store; its container is NAME_COMPANION."""
PUBLISHED = "published"
"""The network of the host ports."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that is the address, or another property, of a service or infrastructure.

    Attributes:
        target: the name of the service or infrastructure; the service's own name for `self`.
        attribute: `url` (scheme://host:port and what belongs to it), `host`, `port`,
            `health_port`, `bind` (the address to listen on: 0.0.0.0 in a container, 127.0.0.1 for
            a process on this machine), `data` (the folder that outlives the process) or `public`
            (the URL by which the world reaches a caddy).
        scheme: the URL's scheme; the target's usual one is already filled in.
        path: what follows the URL or the folder, with the slash between them; or nothing.
    """

    target: str
    attribute: Attribute
    scheme: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable of a service and where its value comes from.

    Attributes:
        kind: `value` (fixed), `default` (.env may change it), `from` (derived from a reference),
            `secret` and `required` (whoever runs the stack sets it; a secret also as NAME_FILE).
        value: the fixed or default value; of kind `from`, the value where the target does not
            run; None where there is none.
        alias: its name in .env and among the secrets, where that is another one.
        reference: where a `from` points.
        line: the line of services.yml that declares it; 0 where the service's type brings it.
    """

    name: str
    kind: Kind
    description: str = ""
    value: str | None = None
    alias: str = ""
    reference: Reference | None = None
    line: int = 0

    @property
    def given_as(self) -> str:
        """The name under which whoever runs the stack gives it, and a stand-in provides it."""
        return self.alias or self.name

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown or stored in the clear."""
        return self.kind == "secret"


@dataclass(frozen=True, slots=True)
class Provided:
    """The value that other services' variable `name` takes where the providing service runs."""

    name: str
    value: str | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A health check: HTTP 200 from `path` at `port`, or a `command` that exits with 0."""

    path: str = ""
    port: int = 0
    command: tuple[str, ...] = ()
    interval: str = "5s"
    timeout: str = "5s"
    retries: int = 5
    start_period: str = "30s"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that has to have reached a condition before the service starts."""

    name: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the host; `published` 0 is any free one."""

    published: int
    target: int
    host_ip: str = "127.0.0.1"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """The most that one container may take: processors, memory (`256M`), processes."""

    cpus: str
    memory: str
    pids: int


@dataclass(frozen=True, slots=True)
class OptOut:
    """A protection that a service runs without, or a capability it keeps, and the reason."""

    protection: str
    reason: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service with every value resolved.

    `command` is the argument list that starts it, here as in a container. `depends_on` is in
    start order. `published` has only the overlays in which a host port is open. `watches` names
    the services that a Prometheus asks for metrics, and those that it sends alerts to; `shows`
    those whose health a console asks for, in the overlays that have it; `fronts` the bots that a
    Caddy passes requests on to.
    """

    name: str
    type: str
    description: str
    overlays: tuple[Overlay, ...]
    profiles: tuple[str, ...]
    image: str
    command: tuple[str, ...]
    depends_on: tuple[Dependency, ...]
    port: int
    health: Health | None
    env: tuple[Variable, ...]
    provides: tuple[Provided, ...]
    publishes: tuple[str, ...]
    subscribes: tuple[str, ...]
    console: tuple[Overlay, ...]
    published: Mapping[Overlay, tuple[HostPort, ...]]
    egress: bool
    data: str
    writable: tuple[str, ...]
    user: str
    replicas: int
    resources: Resources
    stop_grace_period: str
    capabilities: tuple[OptOut, ...]
    opt_outs: tuple[OptOut, ...]
    watches: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    updates: str = "polling"
    host: str = ""
    certificate: str = ""
    fronts: tuple[str, ...] = ()
    line: int = 0

    @property
    def built(self) -> bool:
        """Whether its image is built from services/Dockerfile."""
        return self.type not in READY_MADE

    @property
    def bot_token(self) -> Variable | None:
        """The variable with its token at Telegram; None where it is no bot."""
        return next((variable for variable in self.env if variable.name == BOT_TOKEN), None)

    def asks(self, overlay: Overlay) -> tuple[str, ...]:
        """Return the services that it sends requests to because of its type."""
        return self.watches + self.fronts + (self.shows if overlay in self.console else ())

    def lacks(self, protection: str) -> bool:
        """Whether it opted out of a protection."""
        return any(opt_out.protection == protection for opt_out in self.opt_outs)

    def variable(self, name: str) -> Variable:
        """Return the variable of that name; KeyError where it declares none."""
        for variable in self.env:
            if variable.name == name:
                return variable
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """A ready-made part: its type, address and the variables it takes from whoever runs it.

    One that is `external` is run elsewhere in prod: no container, and its address is a secret.
    One with several `copies` has one on each of as many servers in prod; elsewhere there is one.
    """

    name: str
    type: Literal["redis", "postgres"]
    port: int
    scheme: str
    persistence: str
    health: Health
    variables: tuple[Variable, ...]
    published: Mapping[Overlay, tuple[HostPort, ...]]
    resources: Resources
    stop_grace_period: str
    external: bool = False
    copies: int = 1
    line: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An event of shared/spec/events.yaml with the services that publish and read it."""

    name: str
    description: str
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole stack; `services` are in start order: what is waited for comes first."""

    project: str
    infrastructure: tuple[Infrastructure, ...]
    services: tuple[Service, ...]
    events: tuple[Event, ...]

    def service(self, name: str) -> Service:
        """Return the service of that name; KeyError where there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def stores(self, overlay: Overlay) -> tuple[Infrastructure, ...]:
        """Return the infrastructure that has a container in an overlay."""
        return tuple(part for part in self.infrastructure if overlay != "prod" or not part.external)

    def away(self, overlay: Overlay) -> tuple[Infrastructure, ...]:
        """Return the infrastructure that is not on the stack's own networks in an overlay."""
        return tuple(
            part
            for part in self.infrastructure
            if overlay == "prod" and (part.external or part.copies > 1)
        )

    def running(self, overlay: Overlay, profiles: Iterable[str] = ()) -> tuple[Service, ...]:
        """Return the services that run in an overlay, in start order.

        Profiles count in `dev` only; everywhere else every service of the overlay runs.
        """
        active = set(profiles)
        return tuple(
            service
            for service in self.services
            if overlay in service.overlays
            and (overlay != "dev" or not service.profiles or active & set(service.profiles))
        )
