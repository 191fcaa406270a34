"""What each Compose file holds: the plan, resolved for one overlay, in Compose's own words.

`compose_files` gives finished data; the templates only lay it out.

    base    what every overlay runs, without host ports and profiles
    dev     what a developer's machine adds to base: builds, host ports, profiles, stand-ins
    tests   complete: random host ports, the stand-ins, nothing that leads out
    prod    complete: images of a release, no builds
"""

from dataclasses import dataclass, replace
from typing import get_args

from infra.stack.addresses import POSTGRES_USER, in_compose
from infra.stack.plan import (
    Dependency,
    Health,
    HostPort,
    Infrastructure,
    Overlay,
    Plan,
    Resources,
    Service,
    Variable,
)

OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)
EGRESS = "egress"
PUBLISHED = "published"
DATABASE_USER = "999:999"
DATA_FOLDERS = {"redis": "/data", "postgres": "/var/lib/postgresql/data"}
UNRELEASED = "0" * 64
SCRATCH = "/tmp:size=64m,mode=1777"  # noqa: S108  a private tmpfs of the container
POSTGRES_SOCKET = "/run/postgresql:size=1m,uid=999,gid=999,mode=0775"


@dataclass(frozen=True, slots=True)
class Build:
    """How an image is built: context, Dockerfile in it, and target where it has several."""

    context: str
    dockerfile: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network between a service and those that reach it, or (not internal) a way out.

    Who shares a way out cannot talk to each other over it; `inward` is for host ports only and
    leads nowhere.
    """

    name: str
    internal: bool = True
    inward: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """One service of a Compose file, every value final."""

    name: str
    comment: str
    image: str
    build: Build | None
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    depends_on: tuple[Dependency, ...]
    profiles: tuple[str, ...]
    ports: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[tuple[str, str], ...]
    tmpfs: tuple[str, ...]
    healthcheck: tuple[str, ...]
    health: Health | None
    user: str
    read_only: bool
    init: bool
    cap_drop: bool
    cap_add: tuple[str, ...]
    security_opt: tuple[str, ...]
    resources: Resources
    replicas: int
    restart: str
    stop_grace_period: str
    shm_size: str = ""


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """The contents of one rendered Compose file; `additions` are merged onto base."""

    overlay: str
    project: str
    containers: tuple[Container, ...]
    additions: tuple[Container, ...]
    networks: tuple[Network, ...]
    volumes: tuple[str, ...]


def compose_files(plan: Plan) -> dict[str, ComposeFile]:
    """Return the contents of infra/compose.NAME.yml by NAME."""
    dev = _containers(plan, "dev")
    everywhere = {
        *(part.name for part in plan.infrastructure),
        *(found.name for found in plan.services if found.overlays == OVERLAYS),
    }
    common = tuple(found for found in dev if found.name in everywhere)
    inner = {*everywhere, EGRESS}
    return {
        "base": _file("base", plan, tuple(_base(found, inner) for found in common)),
        "dev": _file(
            "dev",
            plan,
            tuple(found for found in dev if found.name not in everywhere),
            tuple(_addition(found, inner) for found in common),
        ),
        "tests": _file("tests", plan, _containers(plan, "tests")),
        "prod": _file("prod", plan, _containers(plan, "prod")),
    }


def _base(found: Container, inner: set[str]) -> Container:
    return replace(
        found,
        build=None,
        profiles=(),
        ports=(),
        networks=tuple(name for name in found.networks if name in inner),
        security_opt=_no_new_privileges("prod") if found.security_opt else (),
    )


def _addition(found: Container, inner: set[str]) -> Container:
    return replace(found, networks=tuple(name for name in found.networks if name not in inner))


def _file(
    overlay: str,
    plan: Plan,
    containers: tuple[Container, ...],
    additions: tuple[Container, ...] = (),
) -> ComposeFile:
    used = dict.fromkeys(name for found in (*containers, *additions) for name in found.networks)
    return ComposeFile(
        overlay=overlay,
        project=f"{plan.project}-tests" if overlay == "tests" else plan.project,
        containers=containers,
        additions=additions,
        networks=tuple(
            Network(name, internal=name not in {EGRESS, PUBLISHED}, inward=name == PUBLISHED)
            for name in sorted(used)
        ),
        volumes=tuple(volume for found in containers for volume, _ in found.volumes),
    )


def _containers(plan: Plan, overlay: Overlay) -> tuple[Container, ...]:
    services = [found for found in plan.services if overlay in found.overlays]
    return (
        *(_infrastructure(plan, part, overlay) for part in plan.infrastructure),
        *(_service(plan, found, overlay) for found in services),
    )


def _service(plan: Plan, found: Service, overlay: Overlay) -> Container:
    ports = found.published.get(overlay, ())
    return Container(
        name=found.name,
        comment=found.description,
        image=_image(plan, found, overlay),
        build=_build(found) if overlay != "prod" and found.built else None,
        command=tuple(_literal(part) for part in found.command),
        environment=tuple((one.name, _value(plan, found, one, overlay)) for one in found.env),
        depends_on=found.depends_on,
        profiles=found.profiles if overlay == "dev" else (),
        ports=_ports(ports),
        networks=_networks(plan, found, overlay),
        volumes=((f"{found.name}_data", found.data),) if found.data else (),
        tmpfs=(SCRATCH, *(f"{folder}:size=64m,mode=1777" for folder in found.writable)),
        healthcheck=_healthcheck(found.health),
        health=found.health,
        user="" if found.lacks("non_root") else found.user,
        read_only=not found.lacks("read_only"),
        init=not found.lacks("init"),
        cap_drop=not found.lacks("cap_drop"),
        cap_add=tuple(kept.protection for kept in found.capabilities),
        security_opt=() if found.lacks("no_new_privileges") else _no_new_privileges(overlay),
        resources=found.resources,
        replicas=found.replicas,
        restart=_restart(overlay),
        stop_grace_period=found.stop_grace_period,
    )


def _infrastructure(plan: Plan, part: Infrastructure, overlay: Overlay) -> Container:
    volume = (f"{part.name}_data", DATA_FOLDERS[part.type])
    postgres = part.type == "postgres"
    return Container(
        name=part.name,
        comment="",
        image=_released(plan, part.name) if overlay == "prod" else "",
        build=None if overlay == "prod" else Build("infra/images", "Dockerfile", part.type),
        command=_redis_command(part) if part.type == "redis" else (),
        environment=_postgres_environment(plan, part) if postgres else (),
        depends_on=(),
        profiles=(),
        ports=_ports(part.published.get(overlay, ())),
        networks=(part.name, *((PUBLISHED,) if part.published.get(overlay) else ())),
        volumes=(volume,),
        tmpfs=(SCRATCH, POSTGRES_SOCKET) if postgres else (SCRATCH,),
        healthcheck=_healthcheck(part.health),
        health=part.health,
        user=DATABASE_USER,
        read_only=True,
        init=True,
        cap_drop=True,
        cap_add=(),
        security_opt=_no_new_privileges(overlay),
        resources=part.resources,
        replicas=1,
        restart=_restart(overlay),
        stop_grace_period=part.stop_grace_period,
        shm_size="128M" if postgres else "",
    )


def _redis_command(part: Infrastructure) -> tuple[str, ...]:
    return (
        "redis-server",
        *("--appendonly", "yes", "--appendfsync", part.persistence),
        *("--maxmemory", f"{_megabytes(part.resources.memory) // 2}mb"),
        *("--maxmemory-policy", "noeviction"),
    )


def _postgres_environment(plan: Plan, part: Infrastructure) -> tuple[tuple[str, str], ...]:
    return (
        ("POSTGRES_DB", plan.project),
        ("POSTGRES_USER", POSTGRES_USER),
        ("POSTGRES_PASSWORD", f"${{{part.variables[0].name}:-}}"),
    )


def _megabytes(size: str) -> int:
    factor = {"K": 1 / 1024, "M": 1, "G": 1024}[size[-1]]
    return max(1, int(int(size[:-1]) * factor))


def _value(plan: Plan, service: Service, variable: Variable, overlay: Overlay) -> str:
    """Return a variable's value as Compose interpolates it."""
    for other in plan.services:
        for provided in other.provides:
            if (
                provided.name == variable.name
                and overlay in other.overlays
                and other is not service
            ):
                return f"${{{variable.name}:-{_literal(_usual(plan, variable, overlay))}}}"
    if variable.kind == "value":
        return _literal(variable.value or "")
    if variable.kind == "from":
        return _usual(plan, variable, overlay)
    if variable.kind == "required" and overlay == "prod":
        return f"${{{variable.name}:?set {variable.name} in .env}}"
    return f"${{{variable.name}:-{_literal(variable.value or '')}}}"


def _usual(plan: Plan, variable: Variable, overlay: Overlay) -> str:
    """Return the value of a variable that nobody sets and no stand-in provides."""
    if variable.reference is None:
        return variable.value or ""
    target = variable.reference.target
    absent = any(found.name == target and overlay not in found.overlays for found in plan.services)
    return (variable.value or "") if absent else in_compose(plan, variable.reference)


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _image(plan: Plan, found: Service, overlay: Overlay) -> str:
    if not found.built:
        return found.image
    return _released(plan, found.name) if overlay == "prod" else ""


def _released(plan: Plan, name: str) -> str:
    """Return the image of a release: it is set by id, and without one nothing starts."""
    return f"${{{name.upper()}_IMAGE:-{plan.project}/{name}@sha256:{UNRELEASED}}}"


def _build(found: Service) -> Build:
    return Build(".", f"services/{found.name}/Dockerfile")


def _ports(ports: tuple[HostPort, ...]) -> tuple[str, ...]:
    return tuple(
        f"{_bracketed(port.host_ip)}:{port.published or ''}:{port.target}" for port in ports
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _networks(plan: Plan, found: Service, overlay: Overlay) -> tuple[str, ...]:
    """Return the networks of a service: its own, those of what it reaches, and the ways out."""
    names = [name for name in _reached(plan, found) if _there(plan, name, overlay)]
    if any(
        found.name in _reached(plan, other) for other in plan.services if overlay in other.overlays
    ):
        names.append(found.name)
    outside = found.egress and overlay != "tests"
    if outside:
        names.append(EGRESS)
    if found.published.get(overlay) and not outside:
        names.append(PUBLISHED)
    return tuple(sorted(names))


def _reached(plan: Plan, found: Service) -> set[str]:
    """Return the names of everything that a service talks to."""
    names = {dependency.name for dependency in found.depends_on}
    names |= {one.reference.target for one in found.env if one.reference}
    declared = {one.name for one in found.env}
    for other in plan.services:
        if any(given.reference and given.name in declared for given in other.provides):
            names.add(other.name)
    return names - {found.name}


def _there(plan: Plan, name: str, overlay: Overlay) -> bool:
    return all(overlay in found.overlays for found in plan.services if found.name == name)


def _healthcheck(health: Health | None) -> tuple[str, ...]:
    """Return the test in exec form; HTTP is asked with Python, so no image needs curl."""
    if health is None:
        return ()
    if health.command:
        return ("CMD", *(_literal(part) for part in health.command))
    seconds = 3
    script = (
        "import http.client, sys; sys.tracebacklimit = 0; "
        f"c = http.client.HTTPConnection('127.0.0.1', {health.port}, timeout={seconds}); "
        f"c.request('GET', '{health.path}'); r = c.getresponse(); "
        "sys.exit(r.status != 200 and f'{r.status} {r.read(300)}')"
    )
    return ("CMD", "python", "-IS", "-c", _literal(script))


def _no_new_privileges(overlay: Overlay) -> tuple[str, ...]:
    """Return the option; what is merged onto base spells it differently.

    Compose refuses a merged list that has the same item twice, and each file is to be complete
    where a reader, or a linter, looks for protections. Docker takes both spellings.
    """
    return ("no-new-privileges:true",) if overlay == "prod" else ("no-new-privileges",)


def _restart(overlay: Overlay) -> str:
    return "unless-stopped" if overlay == "prod" else "on-failure:3"
