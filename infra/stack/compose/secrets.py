"""Secrets of prod: one file each, mounted below /run/secrets, readable by one user.

    given      whoever runs the stack has to put it there: a token, the address of what is external
    generated  made once and kept: a password
    derived    made of the passwords and the plan: a URL with a password, Redis' users

`secret_files` says which files there are, `contents` makes what can be made.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from infra.stack.compose.acl import AMONG_COPIES, OPERATOR, acl_file, uses
from infra.stack.compose.addresses import SENTINEL, login, url, url_of_copies
from infra.stack.plan import Infrastructure, Plan, Reference, Service, Variable

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
        variable: the variable that it is the value of, NAME of NAME_FILE; '' where each reader has
            one of its own.
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
    files = [*_given(plan), *_of_infrastructure(plan), *_urls(plan)]
    return tuple({secret.name: secret for secret in files}.values())


def mounted(plan: Plan) -> dict[tuple[str, str], Secret]:
    """Return the secret that is the value of a variable, by container and variable."""
    files = {secret.name: secret for secret in secret_files(plan)}
    made = {
        (reader, secret.variable): secret
        for secret in files.values()
        for reader in secret.readers
        if secret.variable
    }
    return made | {
        (service.name, variable.name): files[variable.given_as]
        for service, variable in _secrets_of(plan)
    }


def contents(plan: Plan, present: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every file that can be made.

    What is present is kept, except derived files, which are made anew; what is given and missing
    is missing in the result too.
    """
    files = {secret.name: secret for secret in secret_files(plan)}
    texts = {name: present[name] for name in files if present.get(name, "").strip()}
    for secret in files.values():
        if secret.origin == "generated":
            texts.setdefault(secret.name, secrets.token_urlsafe(PASSWORD_BYTES))
    passwords = {name: text.strip() for name, text in texts.items()}
    for part in plan.stores("prod"):
        if part.type == "redis":
            users = {user: passwords[password_of(part, user)] for user in users_of(plan, part)}
            texts[users_file(part)] = acl_file(plan, part, users)
    for service in plan.services:
        for variable in service.env:
            if variable.reference and _derived(plan, variable.reference):
                name = f"{service.name.upper()}_{variable.name}"
                texts[name] = _url(plan, service.name, variable.reference, passwords)
    return texts


def users_of(plan: Plan, redis: Infrastructure) -> tuple[str, ...]:
    """Return the users of a Redis: its services and the operator."""
    services = (
        service.name
        for service in plan.services
        if "prod" in service.overlays and uses(service, redis)
    )
    return (*services, *(AMONG_COPIES if redis.copies > 1 else ()), OPERATOR)


def password_of(redis: Infrastructure, user: str) -> str:
    """Return the name of the file that holds a Redis user's password."""
    return f"{redis.name.upper()}_{user.upper()}_PASSWORD"


def copies_password(postgres: Infrastructure) -> str:
    """Return the name of the file with the password that a PostgreSQL's copies have among them."""
    return f"{postgres.name.upper()}_COPIES_PASSWORD"


def users_file(redis: Infrastructure) -> str:
    """Return the name of the file that holds a Redis' users."""
    return f"{redis.name.upper()}_USERS"


def _given(plan: Plan) -> list[Secret]:
    readers: dict[str, list[tuple[Service, Variable]]] = {}
    for service, variable in _secrets_of(plan):
        readers.setdefault(variable.given_as, []).append((service, variable))
    return [
        Secret(
            name,
            "given",
            variables[0][1].description,
            tuple(service.name for service, _ in variables),
            user=variables[0][0].user,
        )
        for name, variables in readers.items()
    ]


def _secrets_of(plan: Plan) -> list[tuple[Service, Variable]]:
    """Return each variable of prod that is a secret, with the service that reads it."""
    return [
        (service, variable)
        for service in plan.services
        if "prod" in service.overlays
        for variable in service.env
        if variable.secret
    ]


def _of_infrastructure(plan: Plan) -> list[Secret]:
    files: list[Secret] = []
    for part in plan.stores("prod"):
        for variable in part.variables:
            why = variable.description
            files.append(Secret(variable.name, "generated", why, (part.name,), variable.name))
        if part.type != "redis":
            if part.copies > 1:
                name, why = copies_password(part), "Password that the copies have among them."
                files.append(Secret(name, "generated", why, (part.name,)))
            continue
        for user in users_of(plan, part):
            readers = _readers_of(part, user)
            why = f"Password of Redis user {user}."
            files.append(Secret(password_of(part, user), "generated", why, readers))
        why = "Redis' users: what each service may do."
        files.append(Secret(users_file(part), "derived", why, (part.name,)))
    return files


def _readers_of(redis: Infrastructure, user: str) -> tuple[str, ...]:
    """Return the containers that know the password of a Redis user, besides the user itself."""
    if redis.copies == 1:
        return (redis.name,) if user == OPERATOR else ()
    sentinel = f"{redis.name}_{SENTINEL}"
    by = {OPERATOR: (redis.name, sentinel), "replica": (redis.name,), SENTINEL: (sentinel,)}
    return by.get(user, ())


def _urls(plan: Plan) -> list[Secret]:
    return [
        Secret(
            f"{service.name.upper()}_{variable.name}",
            "derived" if _derived(plan, variable.reference) else "given",
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


def _derived(plan: Plan, reference: Reference) -> bool:
    """Say whether it is the URL of a part that the stack itself runs, so that it has a password."""
    return _holds_password(plan, reference) and reference.target in {
        part.name for part in plan.stores("prod")
    }


def _url(plan: Plan, service: str, reference: Reference, passwords: Mapping[str, str]) -> str:
    part = next(part for part in plan.infrastructure if part.name == reference.target)
    redis = part.type == "redis"
    name = password_of(part, service) if redis else part.variables[0].name
    who = login(plan, part, service, passwords[name])
    return (url_of_copies if part.copies > 1 else url)(plan, reference, who)
