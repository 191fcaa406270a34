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
                readers.setdefault(variable.given_as, []).append(service.name)
                variables.setdefault(variable.given_as, variable)
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
    several = tuple(setting for setting in settings.values() if len(setting.services) > 1)
    groups = [
        Group(_title(plan, part.name), _passwords(plan, part.name)) for part in plan.infrastructure
    ]
    for service in plan.services:
        own = tuple(setting for setting in settings.values() if setting.services == (service.name,))
        groups.append(Group(f"{service.name}: {service.description}".removesuffix(": "), own))
    groups.append(Group("Read by several services", several))
    return tuple(group for group in groups if group.settings)


def profiles(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return each profile with the services that run only with it (or with another one)."""
    names = dict.fromkeys(name for service in plan.services for name in service.profiles)
    return {
        name: tuple(service.name for service in plan.services if name in service.profiles)
        for name in names
    }


def _title(plan: Plan, name: str) -> str:
    kinds = {"redis": "Redis", "postgres": "PostgreSQL"}
    return next(kinds[part.type] for part in plan.infrastructure if part.name == name)


def _passwords(plan: Plan, name: str) -> tuple[Setting, ...]:
    part = next(part for part in plan.infrastructure if part.name == name)
    whose = {variable.name: variable.description for variable in part.variables}
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
