"""A collector that is away, or hangs, holds nothing up, and is told of once."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating
from opentelemetry.semconv.schemas import Schemas

from shared.tracing import conventions
from telegram_sim.client import SimClient
from tests.collector import Collector
from tests.conditions import eventually
from tests.processes import Service, bot, health_of, url_of
from tests.servers import RedisServer, free_port
from tests.shared.process.test_life import service
from tests.shared.tracing.test_whole_path import backend, lines, ready

LAST = "the last traces are not sent"
WITHOUT_THE_EXTRA = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "opentelemetry.exporter":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
runpy.run_module("tests.shared.process.a_service", run_name="__main__")
"""


def complaints(service: Service) -> list[dict[str, str]]:
    """Return the log lines that are no plain news."""
    logged = [json.loads(line) for line in service.log.splitlines()]
    return [line for line in logged if line["level"] != "info"]


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "away"])
async def test_a_collector_that_takes_nothing_holds_nothing_up(
    redis_server: RedisServer, sim: Service, telegram: SimClient, tmp_path: Path, *, hangs: bool
) -> None:
    """Commands are stored and answered, one line tells of it, and the processes stop at once."""
    with Collector(hangs=True) as collector:
        variables = {**collector.variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        if not hangs:
            nobody = f"http://127.0.0.1:{free_port()}"
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = nobody
        store = backend(redis_server, tmp_path, **variables)
        running = bot(redis_server.url, url_of(sim))
        running.variables |= variables
        with store, running:
            ready(store)
            running.wait_for(health_of(running))
            for number in range(3):
                written = await telegram.write(f"/command {number}", user=7)
                await telegram.wait_for_answer(7, after=written.message_id)
                for each in (running, store):
                    await eventually(partial(lines, each, "traces are not sent"))
            await eventually(lambda: len(lines(store, "events handled")) == 3)
            for each in (running, store):
                assert await asyncio.to_thread(each.terminate, 15) == 0
                (line,) = lines(each, "traces are not sent")
                assert line["collector"] == variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
                assert {line["event"] for line in complaints(each)} <= {line["event"], LAST}
        assert (collector.requests > 0) == hangs


async def test_a_collector_that_hangs_is_not_waited_for_at_the_end(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """A bounded time, and a line, though the exporter would wait for longer."""
    with Collector(hangs=True) as collector:
        running = bot(redis_server.url, url_of(sim))
        running.variables |= collector.variables
        with running:
            running.wait_for(health_of(running))
            await telegram.write("/command", user=7)
            await eventually(lambda: collector.requests)
            assert await asyncio.to_thread(running.terminate) == 0
            assert lines(running, LAST)


async def test_a_collector_that_comes_back_is_told_of_and_has_the_rest(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """What it did not take meanwhile is lost, and nothing else."""
    with Collector(hangs=True) as collector:
        running = bot(redis_server.url, url_of(sim))
        running.variables |= collector.variables | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        with running:
            running.wait_for(health_of(running))
            await telegram.write("/command 1", user=7)
            await eventually(lambda: lines(running, "traces are not sent"))
            collector.answer()
            await telegram.write("/command 2", user=7)
            await eventually(lambda: lines(running, "traces are sent again"))


async def test_a_service_without_the_extra_says_so_and_works() -> None:
    """An address alone makes no traces, and an image that cannot send them is no reason to fail."""
    with service(END="stop", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as running:
        running.kill()
        running.start(sys.executable, "-c", WITHOUT_THE_EXTRA)
        await eventually(lambda: "started" in running.log.split("no traces")[-1])
        (line,) = lines(running, "no traces: this service is built without them")
        assert line["needs"] == "shared[traces]"
        assert await asyncio.to_thread(running.terminate) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_a_mistake_in_a_variable_is_one_line(name: str, value: str) -> None:
    """At the start, with 78; OpenTelemetry's own reading would pass over it."""
    with service(END="stop", **{name: value}) as running:
        assert running.wait() == 78
        (line,) = running.log.splitlines()
        assert line.startswith(f"a_service: {name} is wrong: ")


def test_the_names_are_those_of_the_pinned_conventions() -> None:
    """A version of OpenTelemetry's package that renames one is noticed here."""
    assert conventions.SCHEMA_URL in {schema.value for schema in Schemas}
    known: set[str] = set()
    for package in (stable, incubating):
        for path in Path(str(package.__path__[0])).glob("*_attributes.py"):
            known |= set(path.read_text(encoding="utf-8").split('"'))
    ours = {
        value
        for value in vars(conventions).values()
        if isinstance(value, str) and value.startswith(("messaging.", "db.", "error."))
    }
    assert len(ours) == 9
    assert ours <= known


def test_importing_the_face_imports_nothing_of_opentelemetry() -> None:
    """Who does not trace pays nothing for it."""
    show = "import sys, shared.tracing, shared.tracing.settings; print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", show), cwd="/", check=True, capture_output=True, text=True
    )
    assert not [name for name in done.stdout.split() if name.startswith("opentelemetry")]
