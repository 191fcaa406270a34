"""The variables that whoever runs the stack may set: the contents of .env.example."""

from dataclasses import dataclass

from infra.stack.compose.addresses import dev_passwords, password_variable
from infra.stack.plan import Plan, Variable


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of .env.example: a variable, who reads it, and what stands behind the `=`.

    A setting with a default is commented out, because leaving it out means the same.
    """

    name: str
    description: str
    services: tuple[str, ...]
    value: str
    commented: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together, under one heading."""

    title: str
    settings: tuple[Setting, ...]


def groups(plan: Plan) -> tuple[Group, ...]:
    """Return the settings in groups: what has to be set first, then by service."""
    readers: dict[str, list[str]] = {}
    variables: dict[str, Variable] = {}
    for service in plan.services:
        for variable in service.env:
            if variable.kind in {"secret", "required", "default"}:
                readers.setdefault(variable.name, []).append(service.name)
                variables.setdefault(variable.name, variable)
    settings = {
        name: Setting(
            name,
            variable.description,
            tuple(readers[name]),
            variable.value or "",
            commented=variable.kind == "default",
        )
        for name, variable in variables.items()
    }
    several = tuple(one for one in settings.values() if len(one.services) > 1)
    found = [
        Group(_title(plan, part.name), _passwords(plan, part.name)) for part in plan.infrastructure
    ]
    for service in plan.services:
        own = tuple(one for one in settings.values() if one.services == (service.name,))
        found.append(Group(f"{service.name}: {service.description}".removesuffix(": "), own))
    found.append(Group("Read by several services", several))
    return tuple(group for group in found if group.settings)


def profiles(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return each profile with the services that run only with it (or with another one)."""
    names = dict.fromkeys(name for service in plan.services for name in service.profiles)
    return {
        name: tuple(found.name for found in plan.services if name in found.profiles)
        for name in names
    }


def _title(plan: Plan, name: str) -> str:
    kinds = {"redis": "Redis", "postgres": "PostgreSQL"}
    return next(kinds[part.type] for part in plan.infrastructure if part.name == name)


def _passwords(plan: Plan, name: str) -> tuple[Setting, ...]:
    part = next(found for found in plan.infrastructure if found.name == name)
    whose = {one.name: one.description for one in part.variables}
    if part.type == "redis":
        whose[password_variable(part)] = "Password of each of its users: letters and digits."
    return tuple(
        Setting(
            variable,
            f"{description} Any will do on a developer's machine.",
            (name,),
            dev_passwords(plan)[variable],
            commented=False,
        )
        for variable, description in whose.items()
    )
