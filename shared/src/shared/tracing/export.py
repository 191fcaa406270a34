"""OpenTelemetry's SDK: what makes spans and sends them to a collector in a thread of its own.

Nothing imports this where there are no traces: it takes a quarter of a second and some megabytes.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from shared.process.backoff import Outage
from shared.tracing.settings import PARENT_BASED, TraceSettings

PATH = "/v1/traces"
"""What OTLP over HTTP adds to a collector's address."""
NOT_TAKEN = "the collector does not answer in time, or refuses them"


class Exporter(SpanExporter):
    """Sends spans to a collector; that it does not take them is logged once, and lost with them.

    Args:
        endpoint: the collector's address, without a path of OTLP.
    """

    def __init__(self, endpoint: str) -> None:
        self._inner = OTLPSpanExporter(endpoint + PATH)
        self._outage = Outage("traces are not sent", "traces are sent again", collector=endpoint)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans, in at most `OTEL_EXPORTER_OTLP_TIMEOUT` seconds."""
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._outage.worked()
        else:
            self._outage.failed(NOT_TAKEN)
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]  # theirs


def make_provider(service: str, endpoint: str, settings: TraceSettings) -> TracerProvider:
    """Return what makes the tracers of a service; its thread sends what they have recorded."""
    try:
        number = version(service)
    except PackageNotFoundError:
        number = "unknown"
    provider = TracerProvider(
        sampler=sampler_of(settings),
        resource=Resource.create({SERVICE_NAME: service, SERVICE_VERSION: number}),
        shutdown_on_exit=False,  # it waits for half a minute where the collector hangs
    )
    provider.add_span_processor(BatchSpanProcessor(Exporter(endpoint)))
    return provider


def sampler_of(settings: TraceSettings) -> Sampler:
    """Return what decides which traces are recorded.

    The SDK would read the same variables by itself, not from files, and pass over a mistake.
    """
    name = settings.otel_traces_sampler
    ratio = TraceIdRatioBased(settings.otel_traces_sampler_arg)
    fixed = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}
    root = fixed.get(name.removeprefix(PARENT_BASED), ratio)
    return ParentBased(root) if name.startswith(PARENT_BASED) else root
