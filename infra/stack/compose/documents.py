"""What each Compose file says: plain data in Compose's own words, made of the plan.

The templates lay it out and say nothing else: what they wrote parses to these very documents.

    base    what every overlay runs, without host ports and profiles
    dev     what a developer's machine adds to base: builds, host ports, profiles, stand-ins
    tests   complete: random host ports, the stand-ins, nothing that leads out
    prod    complete: images of a release, secrets as files, no builds
"""

from dataclasses import replace
from typing import Any

from infra.stack.compose.acl import OPERATOR, acl_arguments
from infra.stack.compose.addresses import open_password, postgres_user
from infra.stack.compose.builds import build_of, build_of_store
from infra.stack.compose.copies import companion_of, copied, extra_hosts
from infra.stack.compose.limits import deploy_of, healthcheck_of, literal, megabytes
from infra.stack.compose.networks import Networks, leads_in, ports, providers_of, reached
from infra.stack.compose.secrets import (
    DATABASE_USER,
    MOUNT,
    password_of,
    secret_files,
    users_file,
)
from infra.stack.compose.values import Values
from infra.stack.plan import (
    EGRESS,
    OVERLAYS,
    Health,
    Infrastructure,
    Overlay,
    Plan,
    Service,
)

SECRETS_FOLDER = "${SECRETS_DIR:-./secrets}"
DATA_FOLDERS = {"redis": "/data", "postgres": "/var/lib/postgresql/data"}
UNRELEASED = "0" * 64
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
# Compose refuses a merged list that has the same item twice, and each file is to be complete where
# a reader, or a linter, looks for protections: what is merged onto base spells it without `:true`.
NO_NEW_PRIVILEGES = ["no-new-privileges:true"]
PROTECTIONS = ("read_only", "cap_drop", "cap_add", "security_opt")
NOT_IN_BASE = {"build", "profiles", "ports", "networks", "network_mode"}
ADDED_TO_BASE = ("build", "profiles", "ports", "networks", *PROTECTIONS, "deploy")
SCRATCH = "/tmp:size=64m,mode=1777"  # noqa: S108  a private tmpfs of the container
POSTGRES_SOCKET = "/run/postgresql:size=1m,uid=999,gid=999,mode=0775"

Document = dict[str, Any]


def compose_files(plan: Plan) -> dict[str, Document]:
    """Return the contents of infra/compose.NAME.yml by NAME."""
    dev = _Overlay(plan, "dev").services()
    everywhere: dict[str, Infrastructure | Service] = {
        **{part.name: part for part in plan.infrastructure},
        **{part.name: part for part in plan.services if part.overlays == OVERLAYS},
    }
    networks = Networks(plan, "dev", everywhere)
    inner = {
        name: [network for network in networks.of(part) if not leads_in(network)]
        for name, part in everywhere.items()
    }
    base = {name: _base(dev[name], inner[name]) for name in dev if name in everywhere}
    added = {name: _addition(dev[name], inner[name]) for name in base}
    only_dev = {name: service for name, service in dev.items() if name not in base}
    return {
        "base": _file(plan.project, base),
        "dev": _file(plan.project, added | only_dev),
        "tests": _file(f"{plan.project}-tests", _Overlay(plan, "tests").services()),
        "prod": _file(plan.project, _Overlay(plan, "prod").services()),
    }


def _base(service: Document, networks: list[str]) -> Document:
    kept = {key: value for key, value in service.items() if key not in NOT_IN_BASE}
    if "security_opt" in kept:
        kept["security_opt"] = NO_NEW_PRIVILEGES
    return kept | _reach(networks)


def _addition(service: Document, inner: list[str]) -> Document:
    added = {key: service[key] for key in ADDED_TO_BASE if key in service}
    networks = [name for name in added.pop("networks", ()) if name not in inner]
    return added | _present(networks=networks)


def _file(project: str, services: dict[str, Document]) -> Document:
    def each(key: str) -> list[str]:
        return list(
            dict.fromkeys(name for service in services.values() for name in service.get(key, ()))
        )

    return {"name": project, "x-logging": LOGGING, "services": services} | _present(
        networks={name: _network(name) for name in sorted(each("networks"))},
        volumes={volume.partition(":")[0]: {} for volume in each("volumes")},
        secrets={name: {"file": f"{SECRETS_FOLDER}/{name}"} for name in each("secrets")},
    )


def _network(name: str) -> Document:
    """Return a network between a service and those that reach it, or a way out.

    Who shares a way out cannot talk to each other over it; that of the host ports leads nowhere.
    """
    if name != EGRESS and not leads_in(name):
        return {"internal": True}
    options = {"com.docker.network.bridge.enable_icc": "false"}
    if leads_in(name):
        options["com.docker.network.bridge.enable_ip_masquerade"] = "false"
    return {"driver_opts": options}


def _present(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value}


def _reach(networks: list[str]) -> Document:
    return {"networks": networks} if networks else {"network_mode": "none"}


class _Overlay:
    """Makes the services of one overlay."""

    def __init__(self, plan: Plan, overlay: Overlay) -> None:
        self._plan = plan
        self._overlay = overlay
        self._stores = plan.stores(overlay)
        self._copied = {part.name for part in plan.away(overlay) if part in self._stores}
        self._elsewhere = {part.name for part in plan.infrastructure if part not in self._stores}
        self._networks = Networks(plan, overlay)
        self._values = Values(plan, overlay)
        self._secrets: dict[str, list[str]] = {}
        for secret in secret_files(plan) if overlay == "prod" else ():
            for reader in secret.readers:
                self._secrets.setdefault(reader, []).append(secret.name)

    def services(self) -> dict[str, Document]:
        """Return infrastructure and services by name, in start order."""
        parts: dict[str, Document] = {}
        for part in self._stores:
            container = self._infrastructure(part)
            if self._overlay == "prod" and part.copies > 1:
                parts |= copied(part, container, self._secrets.get(companion_of(part), []))
            else:
                parts[part.name] = container
        here = (part for part in self._plan.services if self._overlay in part.overlays)
        return parts | {service.name: self._service(service) for service in here}

    def _service(self, service: Service) -> Document:
        providers = providers_of(self._plan)
        return (
            self._common(service)
            | _present(
                extra_hosts=extra_hosts()
                if reached(service, providers, self._overlay) & self._copied
                else [],
                image=service.image or self._image(service.name),
                build={} if self._overlay == "prod" else build_of(service),
                profiles=list(service.profiles) if self._overlay == "dev" else [],
                command=[literal(part) for part in service.command],
                environment=dict(self._values.of_service(service)),
                depends_on={
                    part.name: {"condition": part.condition}
                    for part in service.depends_on
                    if part.name not in self._elsewhere
                },
                healthcheck=healthcheck_of(service.health),
                volumes=[f"{service.name}_data:{service.data}"] if service.data else [],
                user="" if service.lacks("non_root") else service.user,
                read_only=not service.lacks("read_only"),
                cap_drop=[] if service.lacks("cap_drop") else ["ALL"],
                cap_add=[kept.protection for kept in service.capabilities],
                security_opt=[]
                if service.lacks("no_new_privileges")
                else self._no_new_privileges(),
                tmpfs=[SCRATCH, *(f"{folder}:size=64m,mode=1777" for folder in service.writable)],
                deploy=deploy_of(service.resources, service.replicas),
            )
            | {"init": not service.lacks("init")}
        )

    def _infrastructure(self, part: Infrastructure) -> Document:
        redis = part.type == "redis"
        return self._common(part) | _present(
            image=self._image(part.name),
            build={} if self._overlay == "prod" else build_of_store(part),
            command=self._redis_command(part) if redis else [],
            environment=self._redis_environment(part)
            if redis
            else dict(self._values.of_postgres(part)),
            healthcheck=healthcheck_of(self._health(part)),
            volumes=[f"{part.name}_data:{DATA_FOLDERS[part.type]}"],
            user=DATABASE_USER,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=self._no_new_privileges(),
            tmpfs=[SCRATCH] if redis else [SCRATCH, POSTGRES_SOCKET],
            shm_size="" if redis else "128M",
            deploy=deploy_of(part.resources),
            init=True,
        )

    def _common(self, part: Service | Infrastructure) -> Document:
        """Return what a service and a part of the infrastructure have alike."""
        return {
            **_present(
                ports=ports(part.published.get(self._overlay, ())),
                secrets=self._secrets.get(part.name),
            ),
            **_reach(list(self._networks.of(part))),
            "restart": "always" if self._overlay == "prod" else "on-failure:3",
            "stop_grace_period": part.stop_grace_period,
            "logging": LOGGING,
        }

    def _redis_command(self, part: Infrastructure) -> list[str]:
        users: tuple[str, ...] = ("--aclfile", f"{MOUNT}/{users_file(part)}")
        if self._overlay != "prod":
            users = acl_arguments(self._plan, part, self._overlay)
        return [
            "redis-server",
            *("--appendonly", "yes", "--appendfsync", part.persistence),
            *("--maxmemory", f"{megabytes(part.resources.memory) // 2}mb"),
            *("--maxmemory-policy", "noeviction"),
            *users,
        ]

    def _redis_environment(self, part: Infrastructure) -> dict[str, str]:
        """Return what lets `redis-cli --user operator` in; in prod the password is a file."""
        return {} if self._overlay == "prod" else {"REDISCLI_AUTH": open_password(part)}

    def _health(self, part: Infrastructure) -> Health:
        """Return the health check; it logs in as somebody who is there.

        A user or database that PostgreSQL does not know is a FATAL in its log each time. A server
        asks less often than a developer's machine, where a start waits for the answer: each
        question is a process in a container, and a deploy asks by itself.
        """
        health = part.health
        if self._overlay == "prod":
            health = replace(health, interval="5s", retries=12)
        if part.type == "postgres":
            who = ("--username", postgres_user(self._plan), "--dbname", self._plan.project)
            return replace(health, command=(*health.command, *who))
        if self._overlay != "prod":
            return health
        password = f"{MOUNT}/{password_of(part, OPERATOR)}"
        ask = f'REDISCLI_AUTH="$(cat {password})" redis-cli --user {OPERATOR} ping'
        return replace(health, command=("sh", "-c", f'[ "$({ask})" = PONG ]'))

    def _image(self, name: str) -> str:
        """Return the image of a release: it is set by id, and without one nothing starts."""
        if self._overlay != "prod":
            return ""
        return f"${{{name.upper()}_IMAGE:-{self._plan.project}/{name}@sha256:{UNRELEASED}}}"

    def _no_new_privileges(self) -> list[str]:
        return NO_NEW_PRIVILEGES if self._overlay == "prod" else ["no-new-privileges"]
