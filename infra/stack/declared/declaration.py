"""What may be written in services.yml: one frozen record a mapping, one `item` a key.

The records are read by `shapes` and give the JSON Schema; rules that look at more than one value
are in `rules`. Words are Compose's own where Compose has the thing.
"""

# ruff: noqa: RUF009  `item` makes the dataclass field

from dataclasses import dataclass

from infra.stack.declared.lists import Many, Table
from infra.stack.declared.records import Declared, Record, item
from infra.stack.declared.shapes import Choice, Flag, Integer, Text, Word
from infra.stack.declared.words import (
    ADDRESS,
    ARGUMENT,
    CAPABILITY,
    CERTIFICATES,
    COMPOSE_WORDS,
    CONDITIONS,
    CPUS,
    DURATION,
    FOLDER,
    HOST,
    IMAGE,
    INFRASTRUCTURE_TYPES,
    NAME,
    OPT_OUTS,
    OVERLAYS,
    PERSISTENCE,
    PORT,
    REASON,
    REFERENCE,
    SCHEME,
    SENTENCE,
    SERVICE_TYPES,
    SIZE,
    UPDATES,
    URL_PATH,
    USER,
    VALUE,
    VARIABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Declared):
    """How Docker learns that the service works; a single path stands for `http`."""

    http: str = item(URL_PATH, "Path that answers 200 when the service works.", default="")
    port: int = item(PORT, "Port of that path; the service's own port by default.", default=0)
    command: tuple[str, ...] = item(
        Many(ARGUMENT, unique=False),
        "Command that exits with 0 when the service works, instead of http.",
        default=(),
    )
    interval: str = item(DURATION, "Time between two checks.", default="5s")
    timeout: str = item(DURATION, "Time after which a check has failed.", default="5s")
    retries: int = item(Integer(1, 100), "Failures in a row that make it unhealthy.", default=5)
    start_period: str = item(
        DURATION, "Time after the start in which failures do not count.", default="30s"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Declared):
    """One environment variable of a service; a single value stands for `value`.

    With only a description, whoever runs the stack has to set it.
    """

    description: str = item(SENTENCE, "What it is for; shown in .env.example.", default="")
    value: str | None = item(VALUE, "Fixed value; .env does not change it.")
    default: str | None = item(
        VALUE,
        "Value where .env sets none; beside `from`, the value where that service does not run.",
    )
    source: str | None = item(
        REFERENCE,
        "Service or infrastructure whose address it takes: NAME for the URL, NAME.host, NAME.port;"
        " self.port, self.health_port, self.bind and self.data for the service itself.",
        key="from",
    )
    scheme: str = item(SCHEME, "Scheme of the URL, where the usual one is wrong.", default="")
    path: str = item(Text("a path", "[^ ]+"), "Path behind the URL or folder.", default="")
    secret: bool = item(Flag(), "A secret: no default, never shown, a file in prod.", default=False)
    given_as: str = item(
        VARIABLE,
        "Its name in .env and among the secrets, where two services have one of the same name.",
        default="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided(Declared):
    """The value that a variable of other services takes where this service runs."""

    value: str | None = item(VALUE, "The value.")
    source: str | None = item(REFERENCE, "The service whose address it takes.", key="from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Declared):
    """A host port; a single number stands for `published`, 0 for any free port."""

    published: int = item(Integer(0, 65535), "Port on the host; 0 is any free one.", default=0)
    target: int = item(PORT, "Port in the container; the service's own by default.", default=0)
    host_ip: str = item(ADDRESS, "Address on the host.", default="127.0.0.1")
    reason: str = item(
        REASON, "Why it is open to more than this machine; needed beyond loopback.", default=""
    )


PUBLISHED = Record(Published, "a host port", "published")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Declared):
    """Host ports by overlay; in an overlay that is left out nothing is open."""

    dev: tuple[Published, ...] = item(Many(PUBLISHED), "On a developer's machine.", default=())
    tests: tuple[Published, ...] = item(Many(PUBLISHED), "In the tests; use 0.", default=())
    prod: tuple[Published, ...] = item(Many(PUBLISHED), "On a server.", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources(Declared):
    """The most that one container may take."""

    cpus: str = item(CPUS, "Processors.", default="")
    memory: str = item(SIZE, "Memory.", default="")
    pids: int = item(Integer(1, 32768), "Processes and threads.", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure(Declared):
    """A ready-made part that the services stand on."""

    type: str = item(Choice(INFRASTRUCTURE_TYPES), "What it is.", default="", required=True)
    persistence: str = item(
        Choice(PERSISTENCE), "What an acknowledged write is worth (redis).", default=""
    )
    external: bool = item(
        Flag(),
        "Whether a server uses one that is run elsewhere: no container of it in prod, and each"
        " address of it is a secret to be set. Elsewhere it is a container all the same.",
        default=False,
    )
    copies: int = item(
        Integer(1, 99),
        "Servers that have a copy of it each: 1, or 3 on a private network (docs/SCALE.md).",
        default=1,
    )
    publish: Publish | None = item(Record(Publish, "publish"), "Host ports by overlay.")
    resources: Resources | None = item(Record(Resources, "resources"), "Limits of its container.")
    stop_grace_period: str = item(DURATION, "Time between SIGTERM and SIGKILL.", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Declared):
    """One service: what it runs, what it waits for, what it reads, says and hears."""

    name: str = item(
        NAME, "Its name: container, host name and Python package.", default="", required=True
    )
    type: str = item(
        Choice(SERVICE_TYPES), "What kind of service it is.", default="", required=True
    )
    description: str = item(SENTENCE, "What it does, in one sentence.", default="")
    image: str = item(IMAGE, "Ready-made image (type image only).", default="")
    command: tuple[str, ...] = item(
        Many(ARGUMENT, unique=False),
        "Command as a list of arguments; python -m NAME for the python types by default.",
        default=(),
    )
    overlays: tuple[str, ...] = item(
        Many(Choice(OVERLAYS)), "Where it runs; everywhere by default.", default=tuple(OVERLAYS)
    )
    profiles: tuple[str, ...] = item(
        Many(NAME), "Runs on a developer's machine only with one of these profiles.", default=()
    )
    depends_on: dict[str, str] = item(
        Table(NAME, Choice(CONDITIONS), listed=lambda: "service_started"),
        "What has to be there before it starts.",
        default={},
    )
    port: int = item(PORT, "Port that it serves.", default=0)
    health: Health | None = item(Record(Health, "health", "http"), "Its health check.")
    env: dict[str, Variable] = item(
        Table(VARIABLE, Record(Variable, "a variable", "value")),
        "Its environment variables: every one that it reads, and no other.",
        default={},
    )
    provides: dict[str, Provided] = item(
        Table(VARIABLE, Record(Provided, "a provided value", "value")),
        "Values that variables of other services take where this service runs: it stands in.",
        default={},
    )
    updates: str = item(
        Choice(UPDATES), "How a bot gets its updates; polling by default.", default=""
    )
    host: str = item(
        HOST,
        "Host name that it answers for (type caddy); an environment sets another: WEBHOOK_DOMAIN.",
        default="",
    )
    certificate: str = item(
        Choice(CERTIFICATES), "Where its certificate is from (type caddy).", default=""
    )
    publishes: tuple[str, ...] = item(Many(NAME), "Events that it publishes.", default=())
    subscribes: tuple[str, ...] = item(Many(NAME), "Events that it reads.", default=())
    console: tuple[str, ...] = item(
        Many(Choice(OVERLAYS)),
        "Where it serves a console of all events: there it may read their streams, and replay and"
        " drop their dead letters.",
        default=(),
    )
    publish: Publish | None = item(Record(Publish, "publish"), "Host ports by overlay.")
    egress: bool = item(Flag(), "Whether it reaches the internet.", default=False)
    data: str = item(FOLDER, "Folder that outlives the container: a named volume.", default="")
    writable: tuple[str, ...] = item(
        Many(FOLDER), "More folders in memory that it may write to, besides /tmp.", default=()
    )
    user: str = item(USER, "User that it runs as (type image).", default="")
    replicas: int = item(Integer(1, 100), "Containers of it.", default=1)
    resources: Resources | None = item(Record(Resources, "resources"), "Limits of one container.")
    stop_grace_period: str = item(DURATION, "Time between SIGTERM and SIGKILL.", default="")
    capabilities: dict[str, str] = item(
        Table(CAPABILITY, REASON),
        "Linux capabilities that it keeps, each with the reason.",
        default={},
    )
    opt_out: dict[str, str] = item(
        Table(Word(OPT_OUTS), REASON),
        "Protections that it runs without, each with the reason.",
        default={},
    )


SERVICE = Record(Service, "a service", instead=COMPOSE_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(Declared):
    """The stack, declared once: infrastructure and services of one project."""

    version: int = item(Integer(1, 1), "Version of this format.", default=1, required=True)
    project: str = item(
        NAME, "Name of the project: containers, networks, volumes.", default="", required=True
    )
    infrastructure: dict[str, Infrastructure] = item(
        Table(
            NAME,
            Record(Infrastructure, "an infrastructure", instead={"replicas": "write 'copies'"}),
        ),
        "Ready-made parts by name.",
        default={},
    )
    services: tuple[Service, ...] = item(
        Many(SERVICE, needed=True), "The services.", default=(), required=True
    )


STACK = Record(Stack, "services.yml", extensions=True)
