"""A name is given once and can be what it has to be; a type has what it needs."""

import keyword
import sys

from infra.stack.declared.declaration import Service
from infra.stack.declared.defaults import READY, data_of
from infra.stack.declared.rules.context import Context
from infra.stack.plan import EGRESS, PUBLISHED, READY_MADE

LIBRARIES = {"fastapi", "faststream", "pydantic", "redis", "structlog", "uvicorn"}
RESERVED = {
    "self": "'self' means the service itself in `from`",
    "shared": "'shared' is the package that every service imports",
    EGRESS: f"'{EGRESS}' is the network that leads out",
    PUBLISHED: f"'{PUBLISHED}' is the network of the host ports",
}


def names(context: Context) -> None:
    """A name is given once, is no reserved word, and can be a Python package where it is one."""
    lines = {
        name: context.reading.key("infrastructure", name) for name in context.stack.infrastructure
    }
    for service in context.stack.services:
        place = (*service.at, "name")
        if not service.name:
            continue  # told already
        if service.name in lines:
            first = lines[service.name].line
            context.error(
                f"duplicate name '{service.name}'; the first one is on line {first}", *place
            )
        lines.setdefault(service.name, context.reading.value(*place))
        if keyword.iskeyword(service.name) and service.type not in READY_MADE:
            context.error(
                f"'{service.name}' is a Python keyword, so no package can have it", *place
            )
        if service.name in sys.stdlib_module_names | LIBRARIES and service.type not in READY_MADE:
            message = f"'{service.name}' is what a module that services import is called already"
            context.error(message, *place)
        if service.name in RESERVED:
            context.error(f"a service cannot be called so: {RESERVED[service.name]}", *place)
    for name in context.stack.infrastructure:
        if name in RESERVED:
            message = f"infrastructure cannot be called so: {RESERVED[name]}"
            context.error(message, "infrastructure", name, key=True)


def types(context: Context) -> None:
    """A ready-made image names its image; a built service does not."""
    for service in context.stack.services:
        if service.type == "image" and not service.image:
            context.error("type image needs 'image': the image to run", *service.at, "type")
        if service.type == "image":
            _pinned(context, service)
            continue
        ready = service.type in READY
        for name in ("image", "user", *(("port", "data") if ready else ())):
            if getattr(service, name):
                message = f"'{name}' goes with type image only; this service is built"
                if ready:
                    message = f"type {service.type} brings its own '{name}'"
                context.error(message, *service.at, name, key=True)
    for name, part in context.stack.infrastructure.items():
        if part.persistence and part.type == "postgres":
            context.error("'persistence' is for redis", *part.at, "persistence", key=True)
        del name


def _pinned(context: Context, service: Service) -> None:
    """An image without a tag is another one tomorrow; without a digest it may be."""
    name, _, digest = service.image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if service.image and tag in {"", "latest"} and not digest:
        message = f"'{service.image}' is another image tomorrow; name a version"
        context.error(message, *service.at, "image")
    elif service.image and not digest:
        message = f"'{service.image}' has no digest (@sha256:…), so its tag may be moved"
        context.warn(message, *service.at, "image")


def limits(context: Context) -> None:
    """What opts out, or holds data, is consistent with itself."""
    for service in context.stack.services:
        for name in service.opt_out:
            if name == "non_root" and service.type != "image":
                message = "a built service runs as its own user; only an image may need root"
                context.error(message, *service.at, "opt_out", name, key=True)
        if data_of(service) and service.replicas > 1:
            message = f"{service.replicas} replicas would write to the same folder"
            context.warn(message, *service.at, "data")
