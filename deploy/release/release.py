"""A release as pure data: the Compose file with everything filled in, and release.json."""

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from deploy.errors import ConfigError
from deploy.release import membership as servers
from deploy.release.smoke import smoke
from infra.stack import Plan, Service
from infra.stack.compose.acl import OPERATOR
from infra.stack.compose.addresses import postgres_user
from infra.stack.compose.documents import DATA_FOLDERS
from infra.stack.compose.secrets import DATABASE_USER, MOUNT, password_of, secret_files

Json = dict[str, Any]
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::(?:-([^}]*)|\?[^}]*))?\}")
DEFAULT_HANDOVER = "overlap"
"""Side by side for a moment. The bot too: its lease decides who polls, and a standby is healthy
without polling."""


@dataclass(frozen=True)
class Release:
    """What is sent to a host.

    Attributes:
        name: <utc>-<sha>.
        content: A digest of all that decides what runs; two equal ones need no deploy.
        files: The folder's files.
        secrets: The secret files, by their names on the host: text, uid and gid.
    """

    name: str
    content: str
    files: Mapping[str, bytes]
    secrets: Mapping[str, Json]


@dataclass(frozen=True)
class Sources:
    """What a release is made from.

    Attributes:
        plan: The stack.
        compose: The text of infra/compose.prod.yml.
        declaration: The text of services.yml.
        sha: The commit.
        images: Image id by service.
        settings: Variables that are no secrets.
        secrets: Text by secret name.
        key: Makes the digests of secrets useless without it.
        root: The project's folder on the host.
        undoing: The services that have a command to undo an event.
        membership: Which of several servers the host is; None where it is alone.
    """

    plan: Plan
    compose: str
    declaration: str
    sha: str
    images: Mapping[str, str]
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    key: str
    root: str
    undoing: Collection[str]
    membership: servers.Membership | None = None


def make_release(sources: Sources, *, now: str, who: str) -> Release:
    """Return the release of some sources.

    Args:
        sources: What it is made from.
        now: The moment, as 20261123T120000Z.
        who: Who deploys.

    Raises:
        ConfigError: A setting is unknown, or needed and not there.
    """
    marks = {name: mark(sources.key, name, text) for name, text in sources.secrets.items()}
    text, facts = _filled(sources, marks)
    member, same = sources.membership, facts
    if member and member.founder:  # it is said to new containers, and makes no other release
        same = _filled(replace(sources, membership=replace(member, founder="")), marks)[1]
    content = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    name = f"{now}-{sources.sha[:12]}"
    facts |= {
        "name": name,
        "content": content,
        "sha": sources.sha,
        "services_yml": hashlib.sha256(sources.declaration.encode()).hexdigest(),
        "created": now,
        "who": who,
    }
    files = {
        "compose.yml": text.encode(),
        "release.json": (json.dumps(facts, indent=1) + "\n").encode(),
    }
    return Release(name, content, files, _secret_files(sources, marks))


def _filled(sources: Sources, marks: Mapping[str, str]) -> tuple[str, Json]:
    """Return the Compose file's text, and all of release.json that decides what runs."""
    compose = fill_in(sources, marks)
    text = yaml.safe_dump(compose, sort_keys=False, allow_unicode=True, width=1000)
    services = {name: _service(sources, name) for name in in_order(compose["services"])}
    mounted = {secret.name for secret in secret_files(sources.plan) if secret.readers}
    facts: Json = {
        "project": sources.plan.project,
        "services": services,
        "secrets": {secret: f"{secret}.{marks[secret]}" for secret in sorted(mounted)},
        "smoke": smoke(sources.plan, sources.undoing),
        "redis": _redis(sources.plan),
        "database": {"user": postgres_user(sources.plan), "name": sources.plan.project},
        "streams": {event.name: list(event.subscribers) for event in sources.plan.events},
        "files": {"compose.yml": hashlib.sha256(text.encode()).hexdigest()},
        **servers.facts(sources.plan, sources.membership),
    }
    return text, facts


def mark(key: str, name: str, text: str) -> str:
    """Return a short digest of a secret that says nothing to who does not have the key."""
    return hmac.new(key.encode(), f"{name}\0{text}".encode(), hashlib.sha256).hexdigest()[:16]


def fill_in(sources: Sources, marks: Mapping[str, str]) -> Json:
    """Return the Compose file with images by id, settings and the paths of secret files.

    A service that reads secrets is labelled with their digest, since Compose does not notice that
    a file has changed.
    """
    compose: Json = yaml.safe_load(sources.compose)
    images = compose["services"]
    for name, service in compose["services"].items():
        if name not in sources.images:
            raise ConfigError(f"{name} has no image; the services with one are {', '.join(images)}")
        service["image"] = sources.images[name]
        if names := service.get("secrets"):
            digest = hashlib.sha256("".join(marks[secret] for secret in names).encode()).hexdigest()
            service["labels"] = {f"{sources.plan.project}.secrets": digest[:16]}
    for name in compose.get("secrets", {}):
        compose["secrets"][name] = {"file": f"{sources.root}/secrets/{name}.{marks[name]}"}
    used: set[str] = set()
    of_member = sources.membership.variables() if sources.membership else {}
    result: Json = _substituted(compose, {**sources.settings, **of_member}, used)
    if unknown := sorted(set(sources.settings) - (used - servers.VARIABLES)):
        raise ConfigError(
            f"the setting {unknown[0]} is read by no service; settable are: "
            f"{', '.join(sorted(settable(compose)))}"
        )
    return result


def settable(compose: Json) -> set[str]:
    """Return the variables that a Compose file leaves open."""
    names = {name for name, _ in VARIABLE.findall(json.dumps(compose)) if name}
    return names - servers.VARIABLES


def _substituted(value: Any, settings: Mapping[str, str], used: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _substituted(inner, settings, used) for key, inner in value.items()}
    if isinstance(value, list):
        return [_substituted(inner, settings, used) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None:
            return "$$"
        used.add(name)
        text = settings.get(name, default)
        if text is None:
            raise ConfigError(
                f"{name} is not set: put it into settings in deploy/inventories/group_data"
            )
        return text.replace("$", "$$")

    return VARIABLE.sub(fill, value)


def in_order(services: Json) -> list[str]:
    """Return the services so that what is waited for comes first."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in ordered:
            for needed in services[name].get("depends_on", {}):
                visit(needed)
            ordered.append(name)

    for name in services:
        visit(name)
    return ordered


def _service(sources: Sources, name: str) -> Json:
    kinds = {part.name: part.type for part in sources.plan.infrastructure}
    data = kinds.get(name, "")
    beside = servers.beside(sources.plan)
    own = {service.name: service for service in sources.plan.services}
    copy = name in {*beside, *beside.values()}
    # Whoever keeps data in a volume must be alone with it, and so must the owner of a host's port.
    alone = (
        copy or data in DATA_FOLDERS or (name in own and (own[name].data or _has_port(own[name])))
    )
    handover = "replace" if alone else DEFAULT_HANDOVER
    replicas = own[name].replicas if name in own else 1
    ways = {"data": data, "handover": handover, **({"copy": True} if copy else {})}
    return {"image": sources.images[name], **ways, "replicas": replicas}


def _redis(plan: Plan) -> Json | None:
    """Return what asking Redis as its operator takes, and whose its data is and where."""
    part = next((part for part in plan.stores("prod") if part.type == "redis"), None)
    if part is None:
        return None
    return {
        "service": part.name,
        "operator": OPERATOR,
        "password": f"{MOUNT}/{password_of(part, OPERATOR)}",
        "folder": DATA_FOLDERS["redis"],
        "user": DATABASE_USER,
    }


def _has_port(service: Service) -> bool:
    return any(port.published for port in service.published.get("prod", ()))


def _secret_files(sources: Sources, marks: Mapping[str, str]) -> dict[str, Json]:
    files = {}
    for secret in secret_files(sources.plan):
        if secret.readers:
            uid, _, gid = secret.user.partition(":")
            text = sources.secrets[secret.name]
            name = f"{secret.name}.{marks[secret.name]}"
            files[name] = {"text": text, "uid": int(uid), "gid": int(gid or uid)}
    return files
