"""What has to be asked for when somebody looks: measured at each scrape, and never in between."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from shared.metrics.instruments import Gauge

log = structlog.get_logger(__name__)

PATIENCE = 2.0
"""Seconds that a measurement may take; then its gauges say nothing."""

Measure = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A measurement and the gauges that it sets."""

    measure: Measure
    gauges: tuple[Gauge, ...]


_probes: dict[str, Probe] = {}


def measure_at_scrape(name: str, measure: Measure, *gauges: Gauge) -> None:
    """Have something measured at each scrape; the newest measurement of a name counts.

    Args:
        name: what is measured.
        measure: sets the gauges. Where it fails or takes too long they have no value.
        gauges: what it sets.
    """
    _probes[name] = Probe(measure, gauges)


async def measure_all() -> None:
    """Make every measurement, all at the same time."""
    await asyncio.gather(*(_measured(name, probe) for name, probe in _probes.items()))


async def _measured(name: str, probe: Probe) -> None:
    for gauge in probe.gauges:
        gauge.clear()
    try:
        async with asyncio.timeout(PATIENCE):
            await probe.measure()
    except Exception as error:  # noqa: BLE001 — whatever it is, the value is not known
        log.debug("not measured", what=name, reason=type(error).__name__)
        for gauge in probe.gauges:
            gauge.clear()
