"""Publishing: ours beside plain XADD, FastStream's own publisher and the deprecated HTTP path."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count

import aiohttp
from faststream.redis import RedisBroker
from redis.asyncio import Redis

from shared.generated.events import broker, command_received, publish_command_received
from shared.generated.schemas import CommandReceived
from shared.streams.event.envelope import encode
from tests.benchmarks.clocks import cpu_seconds
from tests.benchmarks.findings import Report, Target
from tests.processes import Service
from tests.servers import RedisServer, free_port

ONE_BY_ONE = 250
BULK = 20_000
CALL = 500
"""Commands in one pipeline of plain XADDs: as many as one of our script calls takes."""
GATHERED = 100

Publish = Callable[[CommandReceived], Awaitable[object]]


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Measure single and bulk publishes and add what was found."""
    # A server of its own: a consumer that wakes at each event would be part of what we measure.
    with (
        RedisServer() as redis,
        RedisServer() as other,
        tempfile.TemporaryDirectory(prefix="herald-bench-") as folder,
    ):
        backend = Service(
            "backend",
            DATABASE_URL=f"sqlite+aiosqlite:///{folder}/db",
            REDIS_URL=other.url,
            HTTP_PORT=str(free_port()),
            LOG_LEVEL="ERROR",
        )
        with backend:
            url = f"http://127.0.0.1:{backend.variables['HTTP_PORT']}"
            backend.wait_for(f"{url}/health", seconds=120)
            asyncio.run(_one_by_one(report, rounds, redis.url, url, say))
    with RedisServer() as redis:
        asyncio.run(_in_bulk(report, rounds, redis, say))


def _event() -> CommandReceived:
    return CommandReceived(
        command="/command test arg1 arg2",
        args=["test", "arg1", "arg2"],
        user_id=1001,
        timestamp=datetime.now(UTC),
    )


async def _one_by_one(
    report: Report, rounds: int, redis_url: str, http_url: str, say: Callable[[str], None]
) -> None:
    """Publish one at a time, each way in turn, so that all of them see the same machine."""
    plain = Redis.from_url(redis_url)
    stock = RedisBroker(redis_url)
    await stock.start()
    await broker.connect(redis_url, source="/bench")
    await broker.wait_until_writable(command_received)
    publisher = stock.publisher(stream="stock")
    payload = encode(_event(), event_id="1:2", kind="command_received", source="/bench")
    session = aiohttp.ClientSession()
    fresh = count()

    async def ours(event: CommandReceived) -> None:
        await publish_command_received(event, event_id=f"42:{next(fresh)}")

    async def over_http(event: CommandReceived) -> None:
        body = {"command": event.command, "user_id": event.user_id}
        async with session.post(f"{http_url}/debug/command", json=body) as response:
            response.raise_for_status()

    ways: dict[str, Publish] = {
        "Herald": ours,
        "redis-py XADD": lambda _: plain.xadd("plain", {"__data__": payload}),
        "FastStream's publisher": publisher.publish,
    }
    http: dict[str, Publish] = {"POST /debug/command": over_http}
    p50: dict[str, list[float]] = {way: [] for way in (*ways, *http)}
    cpu: dict[str, list[float]] = {way: [] for way in (*ways, *http)}
    for number in range(-1, rounds):  # the round before the first warms up
        say(f"publish one by one, round {max(number, 0) + 1} of {rounds}")
        # Apart: the backend goes on storing after its answer, and would slow down who comes next.
        taken = await _take_turns(ways, ONE_BY_ONE) | await _take_turns(http, ONE_BY_ONE)
        if number >= 0:
            for way, times in taken.items():
                p50[way].append(statistics.median(wall for wall, _ in times) * 1e6)
                cpu[way].append(statistics.median(used for _, used in times) * 1e6)
    await session.close()
    await broker.close()
    await stock.stop()
    await plain.aclose()
    targets = {"redis-py XADD": Target(1.3, at_least=False)}
    for peer in ("redis-py XADD", "FastStream's publisher"):
        report.compare("one publish, p50", "µs", p50["Herald"], peer, p50[peer], targets.get(peer))
        report.compare("one publish: processor time", "µs", cpu["Herald"], peer, cpu[peer])
    peer = "POST /debug/command"
    pair = (p50["Herald"], peer, p50[peer])
    report.compare("one publish: times faster", "µs", *pair, Target(8), inverse=True)
    plainest = statistics.median(p50["redis-py XADD"])
    report.note(
        "one publish: a plain XADD, which promises nothing, is "
        f"{statistics.median(p50[peer]) / plainest:.1f} times faster than {peer}"
    )


async def _take_turns(ways: dict[str, Publish], times: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds that each publish took, and those that our processor worked for it."""
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(times):
        for way, publish in ways.items():
            event = _event()
            began, used = time.perf_counter(), time.process_time()
            await publish(event)
            taken[way].append((time.perf_counter() - began, time.process_time() - used))
    return taken


async def _in_bulk(
    report: Report, rounds: int, redis: RedisServer, say: Callable[[str], None]
) -> None:
    """Publish many at once: in one call, gathered as the bot does it, and as plain pipelines."""
    plain = Redis.from_url(redis.url)
    await broker.connect(redis.url, source="/bench")
    await broker.wait_until_writable(command_received)
    rates: dict[str, list[float]] = {"bulk": [], "gathered": [], "pipeline": []}
    costs: list[float] = []
    server: list[float] = []
    for number in range(rounds):
        say(f"publish in bulk, round {number + 1} of {rounds}")
        events = [(f"{number}:{n}", _event()) for n in range(BULK)]
        busy = cpu_seconds(redis.pid)
        began, used = time.perf_counter(), time.process_time()
        await broker.publish_events(command_received, events)
        rates["bulk"].append(BULK / (time.perf_counter() - began))
        costs.append((time.process_time() - used) / BULK * 1e6)
        server.append((cpu_seconds(redis.pid) - busy) / BULK * 1e6)
        began = time.perf_counter()
        for at in range(0, BULK // 4, GATHERED):
            some = (event for _, event in events[at : at + GATHERED])
            await asyncio.gather(*map(publish_command_received, some))
        rates["gathered"].append(BULK / 4 / (time.perf_counter() - began))
        began = time.perf_counter()
        for at in range(0, BULK, CALL):
            pipeline = plain.pipeline(transaction=False)
            for event_id, event in events[at : at + CALL]:
                raw = encode(event, event_id=event_id, kind="command_received", source="/bench")
                pipeline.xadd("plain", {"__data__": raw})
            await pipeline.execute()
        rates["pipeline"].append(BULK / (time.perf_counter() - began))
    await broker.close()
    await plain.aclose()
    peer = "XADD pipelines"
    report.compare("bulk publish", "/s", rates["bulk"], peer, rates["pipeline"])
    report.state("bulk publish, appendfsync always", "/s", rates["bulk"], Target(50_000))
    gathered = (rates["gathered"], peer, rates["pipeline"])
    report.compare(f"publishes gathered by {GATHERED}", "/s", *gathered)
    report.note(
        f"bulk publish: an event takes {statistics.median(costs):.0f} µs of our processor and "
        f"{statistics.median(server):.0f} µs of the server's, which work side by side where "
        "nobody else has them: the longer of the two bounds the rate"
    )
