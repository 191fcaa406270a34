"""Traces of a process, in OpenTelemetry's form: who called for what, and how long each part took.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; for that a service needs the extra
`shared[traces]`. An event carries the trace that it was published in as its CloudEvents attribute
`traceparent`, so that one trace goes from Telegram to the row and the reply. docs/TRACES.md shows
it.
"""

from shared.tracing.current import (
    carried,
    carrier,
    current_span,
    failed,
    handling,
    is_tracing,
    processing,
    receiving,
    replying,
    sending,
    storing,
    trace_id,
)

__all__ = [
    "carried",
    "carrier",
    "current_span",
    "failed",
    "handling",
    "is_tracing",
    "processing",
    "receiving",
    "replying",
    "sending",
    "storing",
    "trace_id",
]
