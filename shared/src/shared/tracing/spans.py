"""The spans of a process, as OpenTelemetry's conventions have them; `current` says what each is.

No span holds what somebody wrote or is called: of an error it says the type, never the message.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic_core import from_json

from shared.tracing import conventions
from shared.tracing.current import OFF

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]

W3C = TraceContextTextMapPropagator()
NOTHING = Context()
NO_SPAN: Span = INVALID_SPAN


class Within:
    """A block of code that belongs to a span; the span goes on after it."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Any = None

    def __enter__(self) -> Span:
        self._token = attach(set_span_in_context(self.span))
        return self.span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        detach(self._token)


class Spanning(Within):
    """A block of code with a span of its own, which ends with it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is not None:
            _fail(self.span, kind)
        self.span.end()


@dataclass(slots=True)
class Received:
    """An answer of Telegram's, with its span and the number of new updates in it."""

    span: Span
    count: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.span.end()


class Spans:
    """Makes the spans of a process with one tracer.

    A trace that is not recorded has one here, its first, which stands for all below it as well:
    what would not be sent costs an event next to nothing.

    Args:
        tracer: makes them.
        heeds_parents: whether what somebody else does not record is not recorded here either.
    """

    def __init__(self, tracer: Tracer, *, heeds_parents: bool) -> None:
        self._tracer = tracer
        self._heeds_parents = heeds_parents

    def current(self) -> Span | None:
        """Return the span that this code is in; None for none."""
        span = get_current_span()
        return span if span.get_span_context().is_valid else None

    def trace_id(self) -> str | None:
        """Return the id of the trace that is recorded here; None where its span has ended, too.

        A task lives longer than the span in which it was made, and does other things then.
        """
        span = get_current_span()
        return f"{span.get_span_context().trace_id:032x}" if span.is_recording() else None

    def carrier(self) -> Mapping[str, str]:
        """Return the context of the span that this code is in."""
        fields: dict[str, str] = {}
        W3C.inject(fields)
        return fields

    def carried(self, work: Work[T]) -> Work[T]:
        """Return some work that belongs to the span of now."""
        span = self.current()
        if span is None:
            return work

        async def in_span() -> T:
            with Within(span):
                return await work()

        return in_span

    def failed(self, error: BaseException) -> None:
        """Say that the span that this code is in failed."""
        _fail(get_current_span(), type(error))

    def sending(
        self, stream: str, event_id: str, count: int
    ) -> AbstractContextManager[Span | None]:
        """Return a block in which events are published."""
        here = get_current_span()
        if self._is_left_out(here):
            return OFF
        block = self._begin(f"send {stream}", SpanKind.PRODUCER, here)
        if block.span.is_recording():
            attributes = _messaging(conventions.REDIS, "send", stream, event_id, count)
            block.span.set_attributes(attributes)
        return block

    def processing(
        self, stream: str, group: str, event_id: str, attempt: int, event: bytes
    ) -> Spanning:
        """Return a block in which a handler is given an event."""
        block = self._begin(f"process {stream}", SpanKind.CONSUMER, _carried_by(event))
        if block.span.is_recording():
            block.span.set_attributes(_messaging(conventions.REDIS, "process", stream, event_id))
            block.span.set_attributes({conventions.GROUP: group, conventions.ATTEMPT: attempt})
        return block

    def storing(self, handler: str, handling: Sequence[Span | None]) -> Spanning:
        """Return a block in which a transaction stores events."""
        name = f"transaction {handler}"
        origins = [span for span in handling if span is not None]
        if len(handling) == 1:
            return self._begin(name, SpanKind.CLIENT, origins[0] if origins else NO_SPAN)
        block = self._begin(name, SpanKind.CLIENT)
        if block.span.is_recording():
            block.span.set_attribute(conventions.BATCH, len(handling))
            for span in origins:
                block.span.add_link(span.get_span_context())
                span.add_link(block.span.get_span_context())
        return block

    def receiving(self, count: int) -> Received:
        """Return a block in which the updates of an answer are put into their lanes."""
        span = self._start(f"receive {conventions.UPDATES}", SpanKind.CONSUMER)
        if span.is_recording():
            updates = conventions.UPDATES
            span.set_attributes(_messaging(conventions.TELEGRAM, "receive", updates, count=count))
        return Received(span, count)

    def handling(self, received: Received | None, event_id: str, work: Work[T]) -> Work[T]:
        """Return the handling of an update."""
        parent, links = NO_SPAN, list[Link]()
        if received is not None and received.count == 1:
            parent = received.span
        elif received is not None and received.span.is_recording():
            links.append(Link(received.span.get_span_context()))

        async def in_span() -> T:
            name = f"process {conventions.UPDATES}"
            with self._begin(name, SpanKind.CONSUMER, parent, links) as span:
                if span.is_recording():
                    updates = conventions.UPDATES
                    attributes = _messaging(conventions.TELEGRAM, "process", updates, event_id)
                    span.set_attributes(attributes)
                return await work()

        return in_span

    def replying(self, origin: Span) -> Spanning:
        """Return a block in which a reply is sent."""
        return self._begin("reply", SpanKind.CLIENT, origin)

    def _begin(
        self, name: str, kind: SpanKind, parent: Span = NO_SPAN, links: Sequence[Link] = ()
    ) -> Spanning:
        return Spanning(self._start(name, kind, parent, links))

    def _start(
        self, name: str, kind: SpanKind, parent: Span = NO_SPAN, links: Sequence[Link] = ()
    ) -> Span:
        """Begin a span, or go on with its parent where nothing below that is recorded."""
        if self._is_left_out(parent):
            return parent
        context = set_span_in_context(parent, NOTHING)
        return self._tracer.start_span(name, context, kind, links=links)

    def _is_left_out(self, parent: Span) -> bool:
        """Whether nothing below a span is recorded; in one process every sampler says the same."""
        context = parent.get_span_context()
        if context.trace_flags.sampled or not context.is_valid:
            return False
        return self._heeds_parents or not context.is_remote


def _messaging(
    system: str, operation: str, destination: str, event_id: str = "", count: int = 1
) -> dict[str, str | int]:
    """Return the attributes that the messaging conventions ask for."""
    attributes: dict[str, str | int] = {
        conventions.SYSTEM: system,
        conventions.OPERATION: operation,
        conventions.OPERATION_TYPE: operation,
        conventions.DESTINATION: destination,
    }
    if event_id:
        attributes[conventions.MESSAGE_ID] = event_id
    if count > 1:
        attributes[conventions.BATCH] = count
    return attributes


def _carried_by(event: bytes) -> Span:
    """Return the span that an envelope carries; a foreign publisher may write what it likes."""
    envelope = from_json(event)
    fields = {name: value for name in W3C.fields if isinstance(value := envelope.get(name), str)}
    return get_current_span(W3C.extract(fields, NOTHING))


def _fail(span: Span, error: type[BaseException]) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute(conventions.ERROR, error.__qualname__)
