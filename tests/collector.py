"""A collector of traces: takes what OpenTelemetry's exporter sends, and keeps the spans."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

SOON = 50
"""Milliseconds after which a process of the tests sends what it has recorded."""


@dataclass(frozen=True)
class Span:
    """One span as it came, with the service that sent it; ids are hexadecimal, "" for none."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: frozenset[tuple[str, str]]
    attributes: dict[str, Any]
    failed: bool
    raw: bytes

    @property
    def place(self) -> tuple[str, str]:
        """Return what a link to this span holds."""
        return self.trace, self.id


class Collector:
    """Listens at `address`; with `hangs` it takes connections and never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.requests = 0
        self._spans: list[Span] = []
        self._released = threading.Event()
        if not hangs:
            self._released.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Return what OTEL_EXPORTER_OTLP_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def variables(self) -> dict[str, str]:
        """Return what a process needs to send its spans here, and soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.address,
            "OTEL_BSP_SCHEDULE_DELAY": str(SOON),
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self) -> None:
        """Answer from now on."""
        self._released.set()

    def take(self, path: str, body: bytes) -> None:
        """Keep the spans of one request."""
        assert path == "/v1/traces"
        self.requests += 1
        self._released.wait()
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self._spans += [_span(service, span) for span in scope.spans]

    def spans(self, name: str = "", *, service: str = "") -> list[Span]:
        """Return the spans that have come, or those of a name or a service."""
        return [
            span
            for span in tuple(self._spans)
            if (not name or span.name == name) and (not service or span.service == service)
        ]

    def has(self, count: int, name: str) -> Callable[[], list[Span]]:
        """Return a condition: so many spans of a name have come; then it returns them."""

        def look() -> list[Span]:
            spans = self.spans(name)
            return spans if len(spans) >= count else []

        return look


def _span(service: str, span: trace_pb2.Span) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_values(span.attributes),
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        raw=span.SerializeToString(),
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    """Return OTLP's list of keys and values as a dictionary."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes
    }
