"""What is recorded is what Prometheus reads, and what is not known is not there."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.metrics import catalogue, measure_at_scrape, name_process, with_metrics
from shared.metrics.instruments import Counter
from shared.process import serve_health
from tests.servers import free_port

LABELS = {
    *("stream", "group", "handler", "destination", "status", "outcome", "exception_type"),
    *("service", "version"),
}
"""What a label may be: said by the code or by services.yml, and so one of a few."""


async def healthy() -> tuple[bool, dict[str, object]]:
    """Say that all is well."""
    return True, {}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a health port."""
    port = free_port()
    async with (
        serve_health(port, healthy),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after a test what it had measured."""
    monkeypatch.setattr("shared.metrics.probes._probes", {})


async def scraped(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by its name and labels, as Prometheus' own parser reads them."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


STREAM = "read_and_recorded_here_only"
"""One that no other test of this process counts."""


def labels(**given: str) -> frozenset[tuple[str, str]]:
    """Return labels as `scraped` has them."""
    return frozenset(given.items())


def test_no_label_can_hold_an_id() -> None:
    """A user, chat or event is no label: each would be a series for ever."""
    for instrument in catalogue.INSTRUMENTS:
        assert set(instrument.labels) <= LABELS, instrument.name


def test_each_metric_is_said_once_with_its_unit() -> None:
    """No two have a name in common, and each says what it is in a sentence."""
    names = [instrument.name for instrument in catalogue.INSTRUMENTS]
    assert len(set(names)) == len(names) >= 20
    for instrument in catalogue.INSTRUMENTS:
        assert instrument.text.endswith("."), instrument.name
        if isinstance(instrument, Counter):
            assert instrument.name.endswith("_total")


def test_each_metric_is_documented_with_its_labels() -> None:
    """docs/METRICS.md has a row for each, and none for what is gone."""
    page = Path(__file__).parents[3] / "docs/METRICS.md"
    rows = [
        line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    documented: dict[str, tuple[str, ...]] = {}
    for row in rows:
        _, names, shown, *_ = (re.findall(r"`(\w+)`", cell) for cell in row.split("|"))
        documented |= dict.fromkeys(names, tuple(shown))
    assert documented == {each.name: each.labels for each in catalogue.INSTRUMENTS}


async def test_what_is_recorded_is_what_is_read(client: httpx.AsyncClient) -> None:
    """Counters count, gauges stand, histograms are cumulative; FastStream's have its labels."""
    name_process("a_service")
    before = await scraped(client)
    catalogue.UPDATES.add("handled", by=3)
    catalogue.PROCESSED.add(STREAM, "acked")
    catalogue.LAG.set(7, STREAM, "ledger")
    for seconds in (0.001, 0.2, 100.0):
        catalogue.HANDLER_SECONDS.observe(seconds, STREAM)
    after = await scraped(client)
    handled = ("herald_updates_total", labels(outcome="handled"))
    assert after[handled] - before[handled] == 3
    stood = {"app_name": "a_service", "broker": "redis", "handler": STREAM}
    name = "faststream_received_processed_messages"
    assert after[f"{name}_total", labels(**stood, status="acked")] == 1
    assert after["herald_group_lag_entries", labels(stream=STREAM, group="ledger")] == 7
    name = "faststream_received_processed_messages_duration_seconds"
    counts = [after[f"{name}_bucket", labels(**stood, le=le)] for le in ("0.001", "0.25", "+Inf")]
    assert counts == [1, 2, 3]
    assert after[f"{name}_sum", labels(**stood)] == pytest.approx(100.201)
    assert after["herald_build_info", labels(service="a_service", version="unknown")] == 1
    assert after["process_resident_memory_bytes", labels()] > 1e6


async def test_what_cannot_be_measured_is_not_there(client: httpx.AsyncClient) -> None:
    """Unknown is no 0: neither where the answer is null, nor where the one who is asked is away."""
    known, limit = ("herald_redis_memory_used_bytes", labels()), catalogue.MEMORY_LIMIT
    limit.set(9)

    async def measure() -> None:
        catalogue.MEMORY_USED.set(5)
        limit.set(None)

    async def fail() -> None:
        catalogue.MEMORY_USED.set(6)
        raise ConnectionError

    measure_at_scrape("memory", measure, catalogue.MEMORY_USED, limit)
    first = await scraped(client)
    assert first[known] == 5
    assert ("herald_redis_memory_limit_bytes", labels()) not in first
    measure_at_scrape("memory", fail, catalogue.MEMORY_USED, limit)
    assert known not in await scraped(client)


async def test_a_measurement_that_hangs_holds_nobody_up(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gauges are away, the others are there."""
    monkeypatch.setattr("shared.metrics.probes.PATIENCE", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    measure_at_scrape("hang", hang, catalogue.POLLS)
    read = await scraped(client)
    assert ("herald_polls", labels()) not in read
    assert ("herald_updates_total", labels(outcome="handled")) in read


async def test_an_application_of_ones_own_has_it_too() -> None:
    """In front of its routes; everything else is its own."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    transport = httpx.ASGITransport(with_metrics(application))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert ("herald_poll_failures_total", labels()) in await scraped(client)
        assert (await client.head("/metrics")).content == b""
        assert (await client.post("/metrics")).status_code == 204
        assert (await client.get("/other")).status_code == 204


WITHOUT = """
import asyncio, sys
sys.modules["prometheus_client"] = None
from shared.metrics import catalogue, exposition
catalogue.UPDATES.add("handled")
print(asyncio.run(exposition()))
"""


def test_a_service_without_the_extra_says_so() -> None:
    """It records as ever, and answers 501 with what is missing."""
    done = subprocess.run((sys.executable, "-c", WITHOUT), capture_output=True, check=True)
    assert done.stdout.startswith(b"(501, ")
    assert b"shared[metrics]" in done.stdout
