"""A collector for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.collector import SOON, Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that answers."""
    with Collector() as listening:
        yield listening


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """A collector to which this process may send; what it has recorded comes soon."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", str(SOON))
    return collector
