"""How a reference reads inside the Compose networks."""

from collections.abc import Iterable

from infra.stack.plan import COPIES, Infrastructure, Overlay, Plan, Reference, Service

SENTINEL = "sentinel"
SENTINEL_PORT = 26379
SERVERS = tuple(f"server-{number}" for number in range(1, COPIES + 1))
"""What a container that reaches copies calls the servers that have them."""


def postgres_user(plan: Plan) -> str:
    """Return who owns the database: both are named after the project."""
    return plan.project


def in_compose(plan: Plan, reference: Reference, reader: str = "") -> str:
    """Return the value of a reference as a container sees it outside prod.

    A password is no part of the result but a Compose variable in its place, such as
    `${POSTGRES_PASSWORD:-}`.

    Args:
        plan: the stack.
        reference: whose address it is.
        reader: the service whose variable it is; its user at Redis.
    """
    target = find(plan, reference.target)
    simple = {
        "host": target.name,
        "port": str(target.port),
        "health_port": str(target.health.port) if target.health else "",
        "bind": "0.0.0.0",  # noqa: S104  inside a container that is the container's own network
        "data": target.data if isinstance(target, Service) else "",
    }
    if reference.attribute == "public" and isinstance(target, Service):
        return f"https://{domain(target)}{reference.path}"
    if reference.attribute in simple:
        return simple[reference.attribute] + reference.path
    return url(plan, reference, _login(plan, target, reader))


def domain(caddy: Service) -> str:
    """Return the host name that a Caddy answers for, as Compose interpolates it."""
    return f"${{WEBHOOK_DOMAIN:-{caddy.host}}}"


def url(plan: Plan, reference: Reference, login: str = "") -> str:
    """Return the URL of what a reference points to, with its `login` where it asks for one.

    A database is named after the project.
    """
    target = find(plan, reference.target)
    database = f"/{plan.project}" if target.type == "postgres" else ""
    authority = f"{login}{target.name}:{target.port}"
    return f"{reference.scheme}://{authority}{database}{reference.path}"


def url_of_copies(plan: Plan, reference: Reference, login: str) -> str:
    """Return the URL of what has copies: who asks finds the one that is written to.

    Of Redis the three Sentinels and what they call the primary; of PostgreSQL the three servers, as
    libpq has them, or as SQLAlchemy has them where the scheme names a driver.
    """
    target = find(plan, reference.target)
    if target.type == "redis":
        return f"redis+{SENTINEL}://{login}{sentinels(target.name)}{reference.path}"
    primary = "target_session_attrs=read-write"
    hosts = [f"{server}:{target.port}" for server in SERVERS]
    if "+" not in reference.scheme:
        return f"{reference.scheme}://{login}{','.join(hosts)}/{plan.project}?{primary}"
    named = "&".join(f"host={host}" for host in hosts)
    return f"{reference.scheme}://{login}/{plan.project}?{named}&{primary}"


def sentinels(name: str) -> str:
    """Return where the Sentinels are, and what they call the primary of a Redis with copies."""
    return ",".join(f"{server}:{SENTINEL_PORT}" for server in SERVERS) + f"/{name}"


def login(plan: Plan, infrastructure: Infrastructure, reader: str, password: str) -> str:
    """Return `user:password@`: at Redis each service is a user of its own."""
    user = reader if infrastructure.type == "redis" else postgres_user(plan)
    return f"{user}:{password}@"


def _login(plan: Plan, target: Service | Infrastructure, reader: str) -> str:
    """Return the same with a Compose variable as the password, or '' where none is asked for."""
    if isinstance(target, Service):
        return ""
    if target.type == "redis":
        return login(plan, target, reader, open_password(target)) if reader else ""
    return login(plan, target, reader, f"${{{target.variables[0].name}:-}}")


def password_variable(redis: Infrastructure) -> str:
    """Return the name of the variable that holds the password of a Redis' users outside prod."""
    return f"{redis.name.upper()}_PASSWORD"


def open_password(redis: Infrastructure) -> str:
    """Return that password as Compose interpolates it."""
    return f"${{{password_variable(redis)}:-}}"


def dev_passwords(plan: Plan) -> dict[str, str]:
    """Return passwords of the infrastructure that do on a developer's machine, by variable."""
    names = [variable.name for part in plan.infrastructure for variable in part.variables]
    names += [password_variable(part) for part in plan.infrastructure if part.type == "redis"]
    return dict.fromkeys(names, f"{plan.project}-dev")


def find(plan: Plan, name: str) -> Service | Infrastructure:
    """Return the service or infrastructure of that name; KeyError where there is none."""
    for part in plan.infrastructure:
        if part.name == name:
            return part
    return plan.service(name)


def stand_ins(plan: Plan, overlay: Overlay, profiles: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables to set for Compose because something stands in for the real thing.

    Where a service that `provides` values runs, those values win over .env and defaults; in the
    tests the infrastructure has a throw-away password. The demo, which has addresses of its own,
    reads `provides` instead.
    """
    passwords = dev_passwords(plan) if overlay == "tests" else {}
    return passwords | {
        provided.name: (
            in_compose(plan, provided.reference) if provided.reference else provided.value or ""
        )
        for service in plan.running(overlay, profiles)
        for provided in service.provides
    }
