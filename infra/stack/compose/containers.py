"""What each Compose file holds: the plan, resolved for one overlay.

`compose_files` gives finished data; the templates only lay it out.

    base    what every overlay runs, without host ports and profiles
    dev     what a developer's machine adds to base: builds, host ports, profiles, stand-ins
    tests   complete: random host ports, the stand-ins, nothing that leads out
    prod    complete: images of a release, secrets as files, no builds
"""

from dataclasses import replace
from typing import get_args

from infra.stack.compose.acl import OPERATOR, acl_arguments
from infra.stack.compose.addresses import POSTGRES_USER, open_password
from infra.stack.compose.file import Build, ComposeFile, Container, Network
from infra.stack.compose.networks import EGRESS, PUBLISHED, Networks, ports
from infra.stack.compose.secrets import DATABASE_USER, MOUNT, password_of, secret_files, users_file
from infra.stack.compose.values import Values, literal
from infra.stack.plan import Health, Infrastructure, Overlay, Plan, Service

OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)
DOCKERFILE = "services/Dockerfile"
SECRETS_FOLDER = "${SECRETS_DIR:-./secrets}"
DATA_FOLDERS = {"redis": "/data", "postgres": "/var/lib/postgresql/data"}
UNRELEASED = "0" * 64
# Compose refuses a merged list that has the same item twice, and each file is to be complete where
# a reader, or a linter, looks for protections: what is merged onto base spells it without `:true`.
NO_NEW_PRIVILEGES = ("no-new-privileges:true",)
KINDS = {"redis": "The event streams.", "postgres": "What the services store."}
SCRATCH = "/tmp:size=64m,mode=1777"  # noqa: S108  a private tmpfs of the container
POSTGRES_SOCKET = "/run/postgresql:size=1m,uid=999,gid=999,mode=0775"


def compose_files(plan: Plan) -> dict[str, ComposeFile]:
    """Return the contents of infra/compose.NAME.yml by NAME."""
    dev = _Overlay(plan, "dev").containers()
    everywhere = {
        *(part.name for part in plan.infrastructure),
        *(found.name for found in plan.services if found.overlays == OVERLAYS),
    }
    common = tuple(found for found in dev if found.name in everywhere)
    networks = Networks(plan, "dev", everywhere)
    parts: tuple[Infrastructure | Service, ...] = (*plan.infrastructure, *plan.services)
    inner = {
        part.name: tuple(name for name in networks.of(part) if name != PUBLISHED) for part in parts
    }
    return {
        "base": _file("base", plan, tuple(_base(found, inner[found.name]) for found in common)),
        "dev": _file(
            "dev",
            plan,
            tuple(found for found in dev if found.name not in everywhere),
            tuple(_addition(found, inner[found.name]) for found in common),
        ),
        "tests": _file("tests", plan, _Overlay(plan, "tests").containers()),
        "prod": _file("prod", plan, _Overlay(plan, "prod").containers()),
    }


def _base(found: Container, networks: tuple[str, ...]) -> Container:
    return replace(
        found,
        build=None,
        profiles=(),
        ports=(),
        networks=networks,
        security_opt=NO_NEW_PRIVILEGES if found.security_opt else (),
    )


def _addition(found: Container, inner: tuple[str, ...]) -> Container:
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
        secrets=tuple(
            (name, f"{SECRETS_FOLDER}/{name}")
            for name in dict.fromkeys(name for found in containers for name in found.secrets)
        ),
    )


class _Overlay:
    """Makes the containers of one overlay."""

    def __init__(self, plan: Plan, overlay: Overlay) -> None:
        self._plan = plan
        self._overlay = overlay
        self._networks = Networks(plan, overlay)
        self._values = Values(plan, overlay)
        self._secrets: dict[str, list[str]] = {}
        for secret in secret_files(plan) if overlay == "prod" else ():
            for reader in secret.readers:
                self._secrets.setdefault(reader, []).append(secret.name)

    def containers(self) -> tuple[Container, ...]:
        """Return infrastructure and services, in start order."""
        return (
            *(self._infrastructure(part) for part in self._plan.infrastructure),
            *(self._service(one) for one in self._plan.services if self._overlay in one.overlays),
        )

    def _service(self, found: Service) -> Container:
        return Container(
            name=found.name,
            comment=found.description,
            image=found.image or self._image(found.name),
            build=self._build(".", DOCKERFILE, service=found.name) if found.built else None,
            command=tuple(literal(part) for part in found.command),
            environment=self._values.of_service(found),
            depends_on=found.depends_on,
            profiles=found.profiles if self._overlay == "dev" else (),
            ports=ports(found.published.get(self._overlay, ())),
            networks=self._networks.of(found),
            volumes=((f"{found.name}_data", found.data),) if found.data else (),
            tmpfs=(SCRATCH, *(f"{folder}:size=64m,mode=1777" for folder in found.writable)),
            healthcheck=_healthcheck(found.health),
            health=found.health,
            user="" if found.lacks("non_root") else found.user,
            read_only=not found.lacks("read_only"),
            init=not found.lacks("init"),
            cap_drop=not found.lacks("cap_drop"),
            cap_add=tuple(kept.protection for kept in found.capabilities),
            security_opt=() if found.lacks("no_new_privileges") else self._no_new_privileges(),
            resources=found.resources,
            replicas=found.replicas,
            restart=self._restart(),
            stop_grace_period=found.stop_grace_period,
            secrets=tuple(self._secrets.get(found.name, ())),
        )

    def _infrastructure(self, part: Infrastructure) -> Container:
        redis = part.type == "redis"
        health = self._health(part)
        return Container(
            name=part.name,
            comment=KINDS[part.type],
            image=self._image(part.name),
            build=self._build("infra/images", "Dockerfile", target=part.type),
            command=self._redis_command(part) if redis else (),
            environment=self._redis_environment(part) if redis else self._values.of_postgres(part),
            depends_on=(),
            profiles=(),
            ports=ports(part.published.get(self._overlay, ())),
            networks=self._networks.of(part),
            volumes=((f"{part.name}_data", DATA_FOLDERS[part.type]),),
            tmpfs=(SCRATCH,) if redis else (SCRATCH, POSTGRES_SOCKET),
            healthcheck=_healthcheck(health),
            health=health,
            user=DATABASE_USER,
            read_only=True,
            init=True,
            cap_drop=True,
            cap_add=(),
            security_opt=self._no_new_privileges(),
            resources=part.resources,
            replicas=1,
            restart=self._restart(),
            stop_grace_period=part.stop_grace_period,
            shm_size="" if redis else "128M",
            secrets=tuple(self._secrets.get(part.name, ())),
        )

    def _redis_command(self, part: Infrastructure) -> tuple[str, ...]:
        users: tuple[str, ...] = ("--aclfile", f"{MOUNT}/{users_file(part)}")
        if self._overlay != "prod":
            users = acl_arguments(self._plan, part, self._overlay)
        return (
            "redis-server",
            *("--appendonly", "yes", "--appendfsync", part.persistence),
            *("--maxmemory", f"{_megabytes(part.resources.memory) // 2}mb"),
            *("--maxmemory-policy", "noeviction"),
            *users,
        )

    def _redis_environment(self, part: Infrastructure) -> tuple[tuple[str, str], ...]:
        """Return what lets `redis-cli --user operator` in; in prod the password is a file."""
        return () if self._overlay == "prod" else (("REDISCLI_AUTH", open_password(part)),)

    def _health(self, part: Infrastructure) -> Health:
        """Return the health check; it logs in as somebody who is there.

        A user or database that PostgreSQL does not know is a FATAL in its log each time.
        """
        if part.type == "postgres":
            who = ("--username", POSTGRES_USER, "--dbname", self._plan.project)
            return replace(part.health, command=(*part.health.command, *who))
        if self._overlay != "prod":
            return part.health
        password = f"{MOUNT}/{password_of(part, OPERATOR)}"
        ask = f'REDISCLI_AUTH="$(cat {password})" redis-cli --user {OPERATOR} ping'
        return replace(part.health, command=("sh", "-c", f'[ "$({ask})" = PONG ]'))

    def _image(self, name: str) -> str:
        """Return the image of a release: it is set by id, and without one nothing starts."""
        if self._overlay != "prod":
            return ""
        return f"${{{name.upper()}_IMAGE:-{self._plan.project}/{name}@sha256:{UNRELEASED}}}"

    def _build(
        self, context: str, dockerfile: str, *, target: str = "", service: str = ""
    ) -> Build | None:
        return None if self._overlay == "prod" else Build(context, dockerfile, target, service)

    def _no_new_privileges(self) -> tuple[str, ...]:
        return NO_NEW_PRIVILEGES if self._overlay == "prod" else ("no-new-privileges",)

    def _restart(self) -> str:
        return "always" if self._overlay == "prod" else "on-failure:3"


def _healthcheck(health: Health | None) -> tuple[str, ...]:
    """Return the test in exec form; HTTP is asked with Python, so no image needs curl."""
    if health is None:
        return ()
    if health.command:
        return ("CMD", *(literal(part) for part in health.command))
    seconds = 3
    script = (
        "import http.client, sys; sys.tracebacklimit = 0; "
        f"c = http.client.HTTPConnection('127.0.0.1', {health.port}, timeout={seconds}); "
        f"c.request('GET', '{health.path}'); r = c.getresponse(); "
        "sys.exit(r.status != 200 and f'{r.status} {r.read(300)}')"
    )
    return ("CMD", "python", "-IS", "-c", literal(script))


def _megabytes(size: str) -> int:
    factor = {"K": 1 / 1024, "M": 1, "G": 1024}[size[-1]]
    return max(1, int(int(size[:-1]) * factor))
