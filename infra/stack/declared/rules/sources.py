"""What is in a service's folder is what services.yml says of it."""

from infra.places.diagnostics import closest
from infra.stack.declared.defaults import WEBHOOK_VARIABLES, variables_of
from infra.stack.declared.rules.context import Context
from infra.stack.plan import READY_MADE


def folders(context: Context) -> None:
    """Each service that is built has a folder."""
    present = context.sources.folders
    for service in context.stack.services:
        if present is None or not service.name or service.type in READY_MADE:
            continue
        if service.name not in present:
            message = (
                f"'{service.name}' has no folder services/{service.name}; "
                "make it with: make sync-services mode=create"
            )
            context.error(message, *service.at, "name")


def variables(context: Context) -> None:
    """Each variable that a service's sources read is declared."""
    for service in context.stack.services:
        declared = variables_of(service)
        at = (*service.at, "env") if service.env else (*service.at, "name")
        for read in context.sources.reads.get(service.name, ()):
            name = read.name.removesuffix("_FILE")
            if service.type in READY_MADE or name in declared or name in WEBHOOK_VARIABLES:
                continue
            near = closest(read.name, declared)
            hint = f"; or is '{near}' meant there?" if near else ""
            message = f"'{service.name}' reads {read.name} at {read.file}:{read.line}; declare it"
            message += " here" if service.env else f" here: env: {{{read.name}: …}}"
            context.error(message + hint, *at, key=bool(service.env))


def groups(context: Context) -> None:
    """A consumer group is one service's: two would share its events, each seeing some."""
    readers: dict[tuple[str, str], tuple[str, str]] = {}
    for service in context.stack.services:
        for use in context.sources.uses.get(service.name, ()):
            if not use.group or use.verb != "subscribes" or not use.file.startswith("services/"):
                continue
            place = f"{use.file}:{use.line}"
            other, first = readers.setdefault((use.event, use.group), (service.name, place))
            if other != service.name:
                message = (
                    f"'{service.name}' reads '{use.event}' in group '{use.group}' at {place}, "
                    f"which is that of '{other}' ({first}); each would miss what the other gets"
                )
                where = use.event in service.subscribes
                index = service.subscribes.index(use.event) if where else 0
                at = ("subscribes", index) if where else ("name",)
                context.error(message, *service.at, *at)
