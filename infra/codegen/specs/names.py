"""Names that a spec may not give: the code that is made of it calls something else so."""

import builtins
import keyword

IMPORTED = {
    "APIRouter",
    "Annotated",
    "Any",
    "AwareDatetime",
    "BaseModel",
    "ConfigDict",
    "ConsumerState",
    "ConsumerStoppedError",
    "Delivery",
    "EventPublisher",
    "EventRefusedError",
    "EventRouter",
    "EventStream",
    "EventSubscriber",
    "Field",
    "Lease",
    "Limits",
    "NotConnectedError",
    "Path",
    "Protocol",
    "Publication",
    "Query",
    "Response",
    "StreamBroker",
    "TooLateError",
    "TryLaterError",
}
"""What the generated modules import."""
USED = {
    "broker",
    "content",
    "event",
    "event_id",
    "group",
    "limits",
    "reason",
    "registrator",
    "router",
}
"""What the generated module of events and its functions define themselves."""


def is_taken(name: str) -> bool:
    """Say whether a name means something else in the code already."""
    return keyword.iskeyword(name) or hasattr(builtins, name) or name in IMPORTED | USED
