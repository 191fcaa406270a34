"""What a service does with events in its sources is what it declares, no less and no more.

Its Redis user may do what `publishes` and `subscribes` say: what is missing there ends the process
when it is tried, and what is there for nothing is a right that nobody needs.
"""

from infra.stack.declared.calls import Use
from infra.stack.declared.declaration import Service
from infra.stack.declared.rules.context import Context
from infra.stack.plan import READY_MADE

DOES = {"publishes": "publishes", "subscribes": "subscribes to"}
FUNCTION = {"publishes": "publish_{0} or refuse_{0}", "subscribes": "subscribe_{0}"}


def calls(context: Context) -> None:
    """Each use of an event is declared; each declaration has a use."""
    for service in context.stack.services:
        uses = context.sources.uses.get(service.name)
        if uses is None or service.type in READY_MADE:
            continue
        for verb in DOES:
            used: dict[str, Use] = {}
            for use in uses:
                if use.verb == verb:
                    used.setdefault(use.event, use)
            _undeclared(context, service, verb, used)
            _unused(context, service, verb, used)


def _undeclared(context: Context, service: Service, verb: str, used: dict[str, Use]) -> None:
    declared = getattr(service, verb)
    at = (*service.at, verb) if declared else (*service.at, "name")
    for event in used.keys() - set(declared):
        use = used[event]
        message = f"'{service.name}' {DOES[verb]} '{event}' at {use.file}:{use.line}; name it here"
        if not declared:
            message = f"{message}: {verb}: [{event}]"
        context.error(message, *at, key=bool(declared))


def _unused(context: Context, service: Service, verb: str, used: dict[str, Use]) -> None:
    for index, event in enumerate(getattr(service, verb)):
        if event not in used and event in (context.events or ()):
            function = FUNCTION[verb].format(event)
            message = f"'{service.name}' never uses {function}; what it may do is all it should"
            context.warn(message, *service.at, verb, index)
