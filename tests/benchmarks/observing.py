"""What it costs to be observed: metrics scraped, a console that is open, traces; beside none of it.

Bot and backend run as one chain, from a backlog at Telegram to rows, once with nothing of that and
once with everything, in turn.
"""

import asyncio
import contextlib
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from telegram_sim.client import SimClient
from tests.benchmarks.clocks import cpu_seconds, memory
from tests.benchmarks.consuming import stored
from tests.benchmarks.findings import Report, Target
from tests.processes import TOKEN, Service, bot, health_of, simulator, url_of
from tests.servers import RedisServer, free_port

COMMANDS = 20_000
"""So many that what is paid once, such as importing, weighs little."""
SHARE = "0.05"
"""Of the traces that are recorded, as docs/TRACES.md advises."""
SCRAPE = 5.0
"""Seconds between two scrapes: three times as often as Prometheus does by itself."""
DEADLINE = 180.0
USERS = 200
NAMES = ("tg_bot", "backend")


@dataclass(frozen=True)
class Run:
    """One run of the chain.

    Attributes:
        rate: commands a second, from the first row to the last.
        cpu: microseconds of processor time a command, of bot and backend together.
        memory: megabytes that each process holds for itself at the end, by service.
    """

    rate: float
    cpu: float
    memory: dict[str, float]


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Have a backlog stored with everything off and on in turn, and add what was found."""
    runs: dict[bool, list[Run]] = {False: [], True: []}
    for number in range(rounds):
        # Who begins changes: the first of a pair meets a machine that the other has warmed.
        for observed in (True, False) if number % 2 else (False, True):
            say(f"round {number + 1} of {rounds}: {'everything' if observed else 'nothing'} on")
            runs[observed].append(asyncio.run(_chain(observed=observed)))
    on, off = runs[True], runs[False]
    rates = [run.rate for run in on], "off", [run.rate for run in off]
    report.compare("everything on: commands stored", "/s", *rates, Target(0.95))
    costs = [run.cpu for run in on], "off", [run.cpu for run in off]
    report.compare("everything on: processor time", "µs", *costs)
    for name in NAMES:
        sizes = [run.memory[name] for run in on], [run.memory[name] for run in off]
        report.compare(f"everything on: memory of {name}", "MB", sizes[0], "off", sizes[1])
        more = [mine - theirs for mine, theirs in zip(*sizes, strict=True)]
        report.state(
            f"everything on: memory of {name}, more", "MB", more, Target(12, at_least=False)
        )
    report.note(
        f"everything: /metrics of both scraped every {SCRAPE:g} s, a console open, "
        f"{float(SHARE):.0%} of traces sent to a collector"
    )


async def _chain(*, observed: bool) -> Run:
    """Let bot and backend store a backlog, and somebody observe them meanwhile or nobody."""
    with (
        contextlib.ExitStack() as cleanup,
        tempfile.TemporaryDirectory(prefix="herald-bench-") as folder,
        RedisServer() as redis,
        simulator(limits=False) as sim,
    ):
        database, port = Path(folder, "db"), free_port()
        mine = bot(redis.url, url_of(sim))
        mine.variables |= {"LOG_LEVEL": "ERROR", "REPLIES_PER_SECOND": "0"}
        backend = Service(
            "backend",
            DATABASE_URL=f"sqlite+aiosqlite:///{database}",
            REDIS_URL=redis.url,
            HTTP_PORT=str(port),
            LOG_LEVEL="ERROR",
        )
        url = f"http://127.0.0.1:{port}"
        if observed:
            backend.variables["CONSOLE_MODE"] = "open"
            for service in (mine, backend):
                service.variables |= {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": cleanup.enter_context(_collector()),
                    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                    "OTEL_TRACES_SAMPLER_ARG": SHARE,
                }
        async with SimClient(url_of(sim), token=TOKEN) as telegram:
            await telegram.ready()
            await telegram.write_many("/command test arg{n}", count=COMMANDS, users=USERS)
        processes = [cleanup.enter_context(service) for service in (mine, backend)]
        backend.wait_for(f"{url}/health", seconds=DEADLINE)
        if observed:
            scraped = health_of(mine).replace("/health", "/metrics"), f"{url}/metrics"
            cleanup.enter_context(_aside(partial(_scrape, scraped)))
            cleanup.enter_context(_aside(partial(_watch, f"{url}/console/api/events")))
        first = await _until(database, 1)
        began, before = time.perf_counter(), [cpu_seconds(it.pid) for it in processes]
        await _until(database, COMMANDS)
        took = time.perf_counter() - began
        used = sum(map(cpu_seconds, (it.pid for it in processes))) - sum(before)
        sizes = {it.name: memory(it.pid).rss for it in processes}
        return Run((COMMANDS - first) / took, used / (COMMANDS - first) * 1e6, sizes)


async def _until(database: Path, wanted: int) -> int:
    """Return how many commands are stored, once these are."""
    async with asyncio.timeout(DEADLINE):
        while (count := stored(database)) < wanted:
            await asyncio.sleep(0.02)
    return count


@contextlib.contextmanager
def _aside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread of its own while the context lasts."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _scrape(urls: tuple[str, ...], over: threading.Event) -> None:
    """Ask for metrics, as Prometheus does."""
    while not over.is_set():
        for url in urls:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 — http, of this run
                answer.read()
        over.wait(SCRAPE)


def _watch(url: str, over: threading.Event) -> None:
    """Read what a console's page is sent."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 — as above
        while not over.is_set() and answer.readline():
            pass


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    """Take whatever traces are sent; yield the address."""

    class Taken(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taken) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
