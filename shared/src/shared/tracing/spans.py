"""The spans of a process, as OpenTelemetry's conventions have them; `current` says what each is.

No span holds what somebody wrote or is called: of an error it says the type, never the message.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
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

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]
Attributes = dict[str, str | int]

W3C = TraceContextTextMapPropagator()


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
    """Makes the spans of a process with one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

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

    def sending(self, stream: str, event_id: str, count: int) -> Spanning:
        """Return a block in which events are published."""
        attributes = _messaging(conventions.REDIS, "send", stream, event_id, count)
        return self._begin(f"send {stream}", SpanKind.PRODUCER, attributes)

    def processing(
        self, stream: str, group: str, event_id: str, attempt: int, event: bytes
    ) -> Spanning:
        """Return a block in which a handler is given an event."""
        attributes = _messaging(conventions.REDIS, "process", stream, event_id)
        attributes |= {conventions.GROUP: group, conventions.ATTEMPT: attempt}
        parent = W3C.extract(_carried_by(event), Context())
        return self._begin(f"process {stream}", SpanKind.CONSUMER, attributes, parent)

    def storing(self, handler: str, handling: Sequence[Span | None]) -> Spanning:
        """Return a block in which a transaction stores events."""
        name, attributes = f"transaction {handler}", Attributes()
        origins = [span for span in handling if span is not None]
        if len(handling) == 1:
            parent = set_span_in_context(origins[0], Context()) if origins else Context()
            return self._begin(name, SpanKind.CLIENT, attributes, parent)
        attributes[conventions.BATCH] = len(handling)
        links = [Link(span.get_span_context()) for span in origins]
        block = self._begin(name, SpanKind.CLIENT, attributes, Context(), links)
        for span in origins:
            span.add_link(block.span.get_span_context())
        return block

    def receiving(self, count: int) -> Received:
        """Return a block in which the updates of an answer are put into their lanes."""
        operation = _messaging(conventions.TELEGRAM, "receive", conventions.UPDATES, count=count)
        name = f"receive {conventions.UPDATES}"
        return Received(self._start(name, SpanKind.CONSUMER, operation, Context()), count)

    def handling(self, received: Received | None, event_id: str, work: Work[T]) -> Work[T]:
        """Return the handling of an update."""
        attributes = _messaging(conventions.TELEGRAM, "process", conventions.UPDATES, event_id)
        parent, links = Context(), list[Link]()
        if received is not None and received.count == 1:
            parent = set_span_in_context(received.span, parent)
        elif received is not None:
            links.append(Link(received.span.get_span_context()))

        async def in_span() -> T:
            name = f"process {conventions.UPDATES}"
            with self._begin(name, SpanKind.CONSUMER, attributes, parent, links):
                return await work()

        return in_span

    def replying(self, origin: Span) -> Spanning:
        """Return a block in which a reply is sent."""
        return self._begin("reply", SpanKind.CLIENT, {}, set_span_in_context(origin, Context()))

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: Context | None = None,
        links: Iterable[Link] = (),
    ) -> Spanning:
        return Spanning(self._start(name, kind, attributes, parent, links))

    def _start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: Context | None = None,
        links: Iterable[Link] = (),
    ) -> Span:
        """Begin a span; its parent is the span of now where none is given."""
        return self._tracer.start_span(name, parent, kind, attributes, tuple(links))


def _messaging(
    system: str, operation: str, destination: str, event_id: str = "", count: int = 1
) -> Attributes:
    """Return the attributes that the messaging conventions ask for."""
    attributes: Attributes = {
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


def _carried_by(event: bytes) -> dict[str, str]:
    """Return what an envelope carries of a trace; a foreign publisher may write what it likes."""
    envelope = from_json(event)
    return {name: value for name in W3C.fields if isinstance(value := envelope.get(name), str)}


def _fail(span: Span, error: type[BaseException]) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute(conventions.ERROR, error.__qualname__)
