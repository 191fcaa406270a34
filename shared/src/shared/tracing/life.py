"""From when to when a process traces: from its start to its end, where a collector is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from shared.logs import hide_secrets
from shared.settings import load_settings
from shared.tracing import current
from shared.tracing.conventions import SCHEMA_URL
from shared.tracing.settings import PARENT_BASED, TraceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = structlog.get_logger(__name__)

FLUSH_GRACE = 2.0
"""Seconds that a collector gets at the end to take what has not been sent yet."""


def load_trace_settings() -> TraceSettings:
    """Return the variables of traces.

    Raises:
        SettingsError: one of them is wrong.
    """
    settings = load_settings(TraceSettings)
    hide_secrets(settings)
    return settings


@contextmanager
def tracing(service: str, settings: TraceSettings) -> Iterator[None]:
    """Trace what a service does meanwhile, if its settings name a collector.

    A collector that is away, or hangs, holds nothing up; at the end it is waited for `FLUSH_GRACE`
    seconds. The provider is not OpenTelemetry's global one: FastAPI would tell it of each health
    check, and of the ids of users in paths.
    """
    provider = _provider(service, settings)
    if provider is None:
        yield
        return
    from shared.tracing.spans import Spans  # noqa: PLC0415  only who traces pays for it

    tracer = provider.get_tracer("herald", schema_url=SCHEMA_URL)
    heeds_parents = settings.otel_traces_sampler.startswith(PARENT_BASED)
    current.use(Spans(tracer, heeds_parents=heeds_parents))
    try:
        yield
    finally:
        current.use(None)
        flushing = Thread(target=provider.shutdown, name="flush traces", daemon=True)
        flushing.start()
        flushing.join(FLUSH_GRACE)
        if flushing.is_alive():
            log.warning("the last traces are not sent", waited=FLUSH_GRACE)


def _provider(service: str, settings: TraceSettings) -> "TracerProvider | None":
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return None
    try:
        from shared.tracing.export import make_provider  # noqa: PLC0415  as above
    except ModuleNotFoundError:
        log.warning("no traces: this service is built without them", needs="shared[traces]")
        return None
    return make_provider(service, endpoint, settings)
