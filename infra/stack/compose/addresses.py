"""How a reference reads inside the Compose networks."""

from collections.abc import Iterable

from infra.stack.plan import Infrastructure, Overlay, Plan, Reference, Service

POSTGRES_USER = "herald"


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
    if reference.attribute in simple:
        return simple[reference.attribute] + reference.path
    authority = f"{credentials(target, reader)}{target.name}:{target.port}"
    return f"{reference.scheme}://{authority}{database(plan, target)}{reference.path}"


def credentials(target: Service | Infrastructure, reader: str) -> str:
    """Return `user:password@` where the target asks for one."""
    if isinstance(target, Infrastructure) and target.type == "redis" and reader:
        return f"{reader}:{open_password(target)}@"
    if isinstance(target, Infrastructure) and target.type == "postgres":
        return f"{POSTGRES_USER}:${{{target.variables[0].name}:-}}@"
    return ""


def password_variable(redis: Infrastructure) -> str:
    """Return the name of the variable that holds the password of a Redis' users outside prod."""
    return f"{redis.name.upper()}_PASSWORD"


def open_password(redis: Infrastructure) -> str:
    """Return that password as Compose interpolates it."""
    return f"${{{password_variable(redis)}:-}}"


def dev_passwords(plan: Plan) -> dict[str, str]:
    """Return passwords of the infrastructure that do on a developer's machine, by variable."""
    names = [one.name for part in plan.infrastructure for one in part.variables]
    names += [password_variable(part) for part in plan.infrastructure if part.type == "redis"]
    return dict.fromkeys(names, f"{plan.project}-dev")


def database(plan: Plan, target: Service | Infrastructure) -> str:
    """Return `/database` where the target holds one; it is named after the project."""
    if isinstance(target, Infrastructure) and target.type == "postgres":
        return f"/{plan.project}"
    return ""


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
