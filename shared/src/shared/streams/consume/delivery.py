"""What a handler is told about the entry that it handles."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, TypeVar

from faststream import Depends
from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class DeliveryInfo:
    """What a handler is told about the entry that it handles; `attempt` counts from 1.

    An event is identified by its source and id together, as CloudEvents has it. No slots: what
    calls `Delivery(…)` sets an attribute on the instance, and takes AttributeError for an answer.
    """

    event_id: str
    stream: str
    entry_id: str
    attempt: int
    source: str


being_handled: ContextVar[DeliveryInfo] = ContextVar("being_handled")
"""The delivery whose handler runs, where FastStream calls it."""


async def current_delivery() -> DeliveryInfo:
    """Return the delivery that is being handled.

    Asynchronous, though it waits for nothing: FastStream calls what is not in another thread.
    """
    return being_handled.get()


Delivery = Annotated[DeliveryInfo, Depends(current_delivery, cast=False)]
"""A handler's parameter of this type is given the delivery of its event."""

Handler = Callable[[M, Delivery], Awaitable[None]]
"""The plainest handler; others may take less, or whatever FastStream can inject."""
