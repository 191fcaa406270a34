"""What this process traces with: nothing, where no collector is named.

Whatever is called on the way of every event costs one comparison then, and nothing of
OpenTelemetry is imported.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from shared.tracing.spans import Received, Spans

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]

OFF: AbstractContextManager[None] = nullcontext()
NOTHING: Mapping[str, str] = {}

_spans: "Spans | None" = None


def use(spans: "Spans | None") -> None:
    """Trace with this from now on; with None, no more."""
    global _spans  # noqa: PLW0603 — a process traces or does not
    _spans = spans


def is_tracing() -> bool:
    """Whether this process traces."""
    return _spans is not None


def trace_id() -> str | None:
    """Return the id of the trace that is recorded here, in hexadecimal; None for none."""
    return None if _spans is None else _spans.trace_id()


def carrier() -> Mapping[str, str]:
    """Return what an event carries of the trace that it is published in: extension attributes.

    They are `traceparent` and `tracestate`, as CloudEvents' Distributed Tracing extension has them.
    """
    return NOTHING if _spans is None else _spans.carrier()


def current_span() -> "Span | None":
    """Return the span that this code is in; None for none."""
    return None if _spans is None else _spans.current()


def carried(work: Work[T]) -> Work[T]:
    """Return some work that belongs to the span of now, whoever does it, and when."""
    return work if _spans is None else _spans.carried(work)


def failed(error: BaseException) -> None:
    """Say of the span that this code is in that it failed; of the error its type and no more."""
    if _spans is not None:
        _spans.failed(error)


def sending(
    stream: str, *, event_id: str = "", count: int = 1
) -> "AbstractContextManager[Span | None]":
    """Return a PRODUCER span: events are handed over until they are durable, or refused.

    What is encoded meanwhile carries this span's context.

    Args:
        stream: where to.
        event_id: which event, where it is a single one.
        count: how many there are.
    """
    return OFF if _spans is None else _spans.sending(stream, event_id, count)


def processing(
    stream: str, group: str, event_id: str, attempt: int, event: bytes
) -> "AbstractContextManager[Span | None]":
    """Return a CONSUMER span: a handler is given an event, once; the next attempt has its own.

    Args:
        stream: where from.
        group: the consumer group.
        event_id: which event.
        attempt: counts from 1.
        event: the envelope, which may carry the trace that it was published in. Where it carries
            none, or what is none, a trace begins here.
    """
    return OFF if _spans is None else _spans.processing(stream, group, event_id, attempt, event)


def storing(
    handler: str, handling: "Sequence[Span | None]"
) -> "AbstractContextManager[Span | None]":
    """Return a CLIENT span: one transaction for some events.

    For a single one it is a child of that event's span. For several it is a trace of its own that
    links to each of their spans, and each of them to it.

    Args:
        handler: whose effect it is.
        handling: the spans in which the events are handled.
    """
    return OFF if _spans is None else _spans.storing(handler, handling)


def receiving(count: int) -> "AbstractContextManager[Received | None]":
    """Return a CONSUMER span: Telegram has answered with this many new updates."""
    return OFF if _spans is None or not count else _spans.receiving(count)


def handling(received: "Received | None", event_id: str, work: Work[T]) -> Work[T]:
    """Return the handling of an update, in a CONSUMER span.

    Args:
        received: what it came with: its parent where it came alone, a link of it otherwise.
        event_id: which update.
        work: what is done with it, whenever its turn comes.
    """
    return work if _spans is None else _spans.handling(received, event_id, work)


def replying(origin: "Span | None") -> "AbstractContextManager[Span | None]":
    """Return a CLIENT span: a reply is sent, as often as it takes.

    Args:
        origin: the span in which it was put into the outbox; without one there is none for it.
    """
    return OFF if _spans is None or origin is None else _spans.replying(origin)
