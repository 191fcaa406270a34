"""The text that Prometheus reads, made by prometheus_client of what the instruments hold."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from shared.metrics.catalogue import BUILD, INSTRUMENTS
from shared.metrics.instruments import Counter, Histogram, Instrument
from shared.metrics.probes import measure_all

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

MISSING = b"this service is built without metrics: it needs shared[metrics]\n"
BROKER = "redis"

_service = [""]


def name_process(service: str) -> None:
    """Say which service this process is."""
    try:
        number = version(service)
    except PackageNotFoundError:
        number = "unknown"
    _service[0] = service
    BUILD.clear()
    BUILD.set(1, service, number)


async def exposition() -> tuple[int, str, bytes]:
    """Return HTTP status, content type and body of `GET /metrics`."""
    try:
        from prometheus_client import (  # noqa: PLC0415  an extra, and only who asks pays for it
            CONTENT_TYPE_LATEST,
            generate_latest,
        )
    except ModuleNotFoundError:
        return 501, "text/plain; charset=utf-8", MISSING
    await measure_all()
    return 200, CONTENT_TYPE_LATEST, generate_latest(_registry())


@cache
def _registry() -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Instruments())
    ProcessCollector(registry=registry)
    return registry


class _Instruments:
    """What the registry asks: every instrument as a family of prometheus_client's."""

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client import metrics_core  # noqa: PLC0415

        for instrument in INSTRUMENTS:
            theirs = instrument.name.startswith("faststream_")
            shared = {"app_name": _service[0], "broker": BROKER} if theirs else {}
            names = [*shared, *instrument.labels]
            family: Any = metrics_core.GaugeMetricFamily
            if isinstance(instrument, Counter):
                family = metrics_core.CounterMetricFamily
            elif isinstance(instrument, Histogram):
                family = metrics_core.HistogramMetricFamily
            metric = family(instrument.name, instrument.text, labels=names)
            _fill(metric, instrument, tuple(shared.values()))
            yield metric


def _fill(metric: Any, instrument: Instrument[Any], shared: tuple[str, ...]) -> None:
    for labels, value in tuple(instrument.series.items()):
        values = (*shared, *labels)
        if isinstance(instrument, Histogram):
            bounds = (*(str(float(bound)) for bound in instrument.bounds), "+Inf")
            *counts, total = value
            metric.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), total)
        else:
            metric.add_metric(values, value)
