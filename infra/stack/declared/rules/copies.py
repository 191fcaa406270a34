"""Copies of a store: three or one, all stores alike, and nothing that only one server can have."""

from infra.stack.declared.declaration import Infrastructure
from infra.stack.declared.rules.context import Context
from infra.stack.plan import COMPANIONS, COPIES


def copies(context: Context) -> None:
    """What has copies can have them, beside everything else that the servers have."""
    stores = context.stack.infrastructure
    several = {name: part for name, part in stores.items() if part.copies > 1}
    for name, part in several.items():
        _possible(context, name, part)
    if not several:
        return
    first = next(iter(several))
    for name, part in stores.items():
        if part.copies == 1 and not part.external:
            message = (
                f"'{name}' has one copy and '{first}' has more, so that each of the servers "
                f"would have a '{name}' of its own; write copies: {COPIES}, or external: true"
            )
            context.error(message, "infrastructure", name, key=True)
    _ports(context, several)
    _names(context, several)
    for service in context.stack.services:
        if service.data and "prod" in service.overlays:
            message = f"each of the {COPIES} servers has a folder of its own, with other contents"
            context.warn(message, *service.at, "data")


def _possible(context: Context, name: str, part: Infrastructure) -> None:
    if part.copies != COPIES:
        message = (
            f"{part.copies} copies: the majority that decides which one is written to is of "
            f"{COPIES}; write copies: {COPIES}, or leave it out"
        )
        context.error(message, *part.at, "copies")
    if part.external:
        message = "'external' and 'copies' exclude each other: who runs it copies it"
        context.error(message, *part.at, "copies", key=True)
    if part.persistence == "everysec":
        message = "a copy that counts is on disk: leave 'persistence' out, or write always"
        context.error(message, *part.at, "persistence")
    if part.publish and part.publish.prod:
        message = f"'{name}' has copies, which serve their own ports on the private network"
        context.error(message, *part.at, "publish", "prod", key=True)


def _ports(context: Context, several: dict[str, Infrastructure]) -> None:
    """Two of a type would want the same ports of a server."""
    first: dict[str, str] = {}
    for name, part in several.items():
        other = first.setdefault(part.type, name)
        if other != name:
            message = f"'{other}' has copies already, which take a server's ports of {part.type}"
            context.error(message, *part.at, "copies", key=True)


def _names(context: Context, several: dict[str, Infrastructure]) -> None:
    """What runs beside a copy, and who the copies are to each other, has a name too."""
    taken = {f"{name}_{COMPANIONS.get(part.type)}": name for name, part in several.items()}
    for service in context.stack.services:
        if service.name in taken:
            message = f"'{service.name}' is what runs beside a copy of '{taken[service.name]}'"
            context.error(message, *service.at, "name")
        if service.name in {"sentinel", "replica"}:
            message = f"'{service.name}' is a user of Redis where it has copies"
            context.error(message, *service.at, "name")
