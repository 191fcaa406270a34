"""Secrets of prod: one file each, mounted below /run/secrets, readable by one user.

    given      whoever runs the stack has to put it there: a token
    generated  made once and kept: a password
    derived    made of the passwords and the plan: a URL with a password, Redis' users

`secret_files` says which files there are, `contents` makes what can be made.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from infra.stack.compose.acl import OPERATOR, acl_file, uses
from infra.stack.compose.addresses import login, url
from infra.stack.plan import Infrastructure, Plan, Reference

MOUNT = "/run/secrets"
DATABASE_USER = "999:999"
PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Secret:
    """One file of secrets/ and of /run/secrets.

    Attributes:
        name: its file name in both places, and the name of the Compose secret.
        origin: who makes it.
        description: what it is.
        readers: the containers that mount it; () for what others are derived from only.
        variable: the variable that it is the value of, NAME of NAME_FILE.
        user: `uid:gid` that may read it.
    """

    name: str
    origin: Literal["given", "generated", "derived"]
    description: str
    readers: tuple[str, ...] = ()
    variable: str = ""
    user: str = DATABASE_USER

    @property
    def path(self) -> str:
        """Where a container finds it."""
        return f"{MOUNT}/{self.name}"


def secret_files(plan: Plan) -> tuple[Secret, ...]:
    """Return every secret file of prod, in a fixed order, each once."""
    found = [*_given(plan), *_of_infrastructure(plan), *_urls(plan)]
    return tuple({one.name: one for one in found}.values())


def mounted(plan: Plan) -> dict[tuple[str, str], Secret]:
    """Return the secret that is the value of a variable, by container and variable."""
    return {
        (reader, one.variable): one
        for one in secret_files(plan)
        for reader in one.readers
        if one.variable
    }


def contents(plan: Plan, present: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every file that can be made.

    What is present is kept, except derived files, which are made anew; what is given and missing
    is missing in the result too.
    """
    files = {one.name: one for one in secret_files(plan)}
    texts = {name: present[name] for name in files if present.get(name, "").strip()}
    for one in files.values():
        if one.origin == "generated":
            texts.setdefault(one.name, secrets.token_urlsafe(PASSWORD_BYTES))
    passwords = {name: text.strip() for name, text in texts.items()}
    for part in plan.infrastructure:
        if part.type == "redis":
            users = {one: passwords[password_of(part, one)] for one in users_of(plan, part)}
            texts[users_file(part)] = acl_file(plan, part, users)
    for service in plan.services:
        for variable in service.env:
            if variable.reference and _holds_password(plan, variable.reference):
                name = f"{service.name.upper()}_{variable.name}"
                texts[name] = _url(plan, service.name, variable.reference, passwords)
    return texts


def users_of(plan: Plan, redis: Infrastructure) -> tuple[str, ...]:
    """Return the users of a Redis: its services and the operator."""
    services = (one.name for one in plan.services if "prod" in one.overlays and uses(one, redis))
    return (*services, OPERATOR)


def password_of(redis: Infrastructure, user: str) -> str:
    """Return the name of the file that holds a Redis user's password."""
    return f"{redis.name.upper()}_{user.upper()}_PASSWORD"


def users_file(redis: Infrastructure) -> str:
    """Return the name of the file that holds a Redis' users."""
    return f"{redis.name.upper()}_USERS"


def _given(plan: Plan) -> list[Secret]:
    readers: dict[str, list[str]] = {}
    for service in plan.services:
        for variable in service.env:
            if variable.secret and "prod" in service.overlays:
                readers.setdefault(variable.name, []).append(service.name)
    return [
        Secret(
            name,
            "given",
            plan.service(services[0]).variable(name).description,
            tuple(services),
            name,
            plan.service(services[0]).user,
        )
        for name, services in readers.items()
    ]


def _of_infrastructure(plan: Plan) -> list[Secret]:
    found: list[Secret] = []
    for part in plan.infrastructure:
        for variable in part.variables:
            why = variable.description
            found.append(Secret(variable.name, "generated", why, (part.name,), variable.name))
        if part.type != "redis":
            continue
        for user in users_of(plan, part):
            readers = (part.name,) if user == OPERATOR else ()
            why = f"Password of Redis user {user}."
            found.append(Secret(password_of(part, user), "generated", why, readers))
        why = "Redis' users: what each service may do."
        found.append(Secret(users_file(part), "derived", why, (part.name,)))
    return found


def _urls(plan: Plan) -> list[Secret]:
    return [
        Secret(
            f"{service.name.upper()}_{variable.name}",
            "derived",
            f"{variable.name} of {service.name}, with its password.",
            (service.name,),
            variable.name,
            service.user,
        )
        for service in plan.services
        if "prod" in service.overlays
        for variable in service.env
        if variable.reference and _holds_password(plan, variable.reference)
    ]


def _holds_password(plan: Plan, reference: Reference) -> bool:
    infrastructure = {part.name for part in plan.infrastructure}
    return reference.attribute == "url" and reference.target in infrastructure


def _url(plan: Plan, service: str, reference: Reference, passwords: Mapping[str, str]) -> str:
    part = next(part for part in plan.infrastructure if part.name == reference.target)
    redis = part.type == "redis"
    name = password_of(part, service) if redis else part.variables[0].name
    return url(plan, reference, login(part, service, passwords[name]))
