"""How a handler is called: by our loop directly, or through everything that FastStream offers.

FastStream's way costs two and a half times the processor time of an event. A handler that takes
its event, or its event and delivery, and has nothing around it, needs none of it.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from fast_depends.utils import is_coroutine_callable
from faststream._internal.endpoint.subscriber.call_item import HandlerItem
from faststream._internal.endpoint.subscriber.utils import default_filter

from shared.metrics import catalogue
from shared.streams.consume.delivery import DeliveryInfo, current_delivery

Direct = Callable[[Any, DeliveryInfo], Awaitable[Any]]
"""A handler as our loop calls it."""


def direct(item: HandlerItem[Any], model: type[Any]) -> Direct | None:
    """Return a handler as our loop can call it; None where it needs FastStream.

    Args:
        item: the handler, set up by FastStream.
        model: the model of its stream.
    """
    call, handler = _call(item), item.handler
    around = (
        *(item.dependencies, handler._publishers),  # noqa: SLF001 — as below
        *(item.item_parser, item.item_decoder, handler.is_test),
    )
    if any(around) or item.filter is not default_filter or not is_coroutine_callable(call):
        return None
    match _kinds(item, model):
        case ["event"]:

            async def with_event(event: Any, _: DeliveryInfo) -> None:
                await call(event)

            return with_event
        case ["event", "delivery"]:
            taken: Direct = call
            return taken
    return None


@contextmanager
def measured(stream: str) -> Iterator[None]:
    """Count one call of a handler, with its seconds, and whether it has raised."""
    began, status = monotonic(), "nacked"
    try:
        yield
        status = "acked"
    finally:
        catalogue.HANDLER_SECONDS.observe(monotonic() - began, stream)
        catalogue.PROCESSED.add(stream, status)


def name_model(item: HandlerItem[Any], model: type[Any]) -> None:
    """Give a handler that is generic in its event, as decorators make them, the stream's model."""
    hints = getattr(_call(item), "__annotations__", {})
    hints.update({name: model for name, hint in hints.items() if isinstance(hint, TypeVar)})


def takes_event(item: HandlerItem[Any], model: type[Any]) -> bool:
    """Whether the one thing that a handler takes of a message's body is the event as it is."""
    bodies = item.dependant.flat_params if item.dependant is not None else []
    return len(bodies) == 1 and _is_event(bodies[0].field_type, model)


def _kinds(item: HandlerItem[Any], model: type[Any]) -> list[str]:
    """Return what each of a handler's parameters is: the event, its delivery, or another."""
    dependant: Any = item.dependant
    bodies = {option.field_name: option.field_type for option in dependant.params}
    kinds = []
    for name, parameter in inspect.signature(_call(item)).parameters.items():
        key = dependant.dependencies.get(name)
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            kinds.append("other")
        elif name in bodies and _is_event(bodies[name], model):
            kinds.append("event")
        elif key and dependant.dependency_provider.get_dependant(key).call is current_delivery:
            kinds.append("delivery")
        else:
            kinds.append("other")
    return kinds


def _call(item: HandlerItem[Any]) -> Any:
    """Return a handler as it was written."""
    return item.handler._declared_call  # noqa: SLF001 — tests/shared/test_faststream_names.py


def _is_event(annotation: Any, model: type[Any]) -> bool:
    return annotation is model or annotation is Any
