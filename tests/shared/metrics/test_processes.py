"""What a bot and a backend say at their ports while commands go through them."""

import asyncio
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from shared.keys import dead_letters_of, marker
from shared.metrics import catalogue
from shared.metrics.probes import measure_all
from shared.streams import StreamBroker
from shared.streams.consume.group import Group
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, bot, url_of
from tests.servers import RedisServer, free_port
from tests.shared.said import SAID, Said, said

USER = 700_123_456
COMMANDS = 5
IN_HAND = "faststream_received_messages_in_process"
STANDING = "herald_dead_letters_standing"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(port: str) -> Samples:
    """Return every sample at a port, as Prometheus' own parser reads them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """Return the sample of that name that has these labels, and maybe others."""
    wanted = set(labels.items())
    values = [held for (key, given), held in samples.items() if key == name and wanted <= given]
    return values[0] if len(values) == 1 else None


def reaches(port: str, wanted: float, name: str, **labels: str) -> Callable[[], Samples]:
    """Return a condition: a sample has a value; then it returns them all, else none."""

    def look() -> Samples:
        samples = scraped(port)
        return samples if value(samples, name, **labels) == wanted else {}

    return look


async def test_a_command_is_counted_on_its_whole_way(
    redis_server: RedisServer, sim: Service, telegram: SimClient, tmp_path: Path
) -> None:
    """Fetched, handled, published, answered; received, stored, remembered; and nothing behind."""
    http = str(free_port())
    backend = Service(
        "backend",
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'backend.db'}",
        REDIS_URL=redis_server.url,
        HTTP_PORT=http,
    )
    running = bot(redis_server.url, url_of(sim))
    running.variables["REPLIES_PER_SECOND"] = "0"
    port = running.variables["HEALTH_PORT"]
    with backend, running:
        backend.wait_for(f"http://127.0.0.1:{http}/ready")
        running.wait_for(f"http://127.0.0.1:{port}/health")
        for number in range(COMMANDS):
            await telegram.write(f"/command {number}", user=USER)
        said = await eventually(
            reaches(port, COMMANDS, "herald_replies_total", outcome="sent"), seconds=60
        )
        for outcome in ("fetched", "handled"):
            assert value(said, "herald_updates_total", outcome=outcome) == COMMANDS
        for outcome in ("refused", "kept", "delayed"):
            assert value(said, "herald_updates_total", outcome=outcome) == 0
        published = {"destination": "command_received", "app_name": "tg_bot"}
        name = "faststream_published_messages"
        assert value(said, f"{name}_total", **published, status="success") == COMMANDS
        assert value(said, f"{name}_duration_seconds_count", **published) == COMMANDS
        assert value(said, "herald_publish_batch_events_sum", stream="command_received") == COMMANDS
        assert value(said, "herald_polls") == 1
        age = value(said, "herald_poll_age_seconds")
        assert age is not None
        assert 0 <= age < 60
        used = value(said, "herald_redis_memory_used_bytes")
        assert used is not None
        assert used > 100_000
        assert value(said, "herald_redis_memory_limit_bytes") is None, "it has no limit"
        for stream in ("command_received", "telegram_update"):
            assert value(said, STANDING, stream=stream) == 0
        assert value(said, "herald_build_info", service="tg_bot", version="0.1.0") == 1

        stored = await eventually(reaches(http, COMMANDS, "herald_inbox_rows"), seconds=60)
        handler = {"handler": "command_received", "app_name": "backend"}
        name = "faststream_received_processed_messages"
        assert value(stored, f"{name}_total", **handler, status="acked") == COMMANDS
        assert value(stored, f"{name}_duration_seconds_count", **handler) == COMMANDS
        group = {"stream": "command_received", "group": "backend"}
        for name in ("lag_entries", "lag_seconds", "pending_entries"):
            settled = reaches(http, 0, f"herald_group_{name}", **group)
            assert await eventually(settled), name
        assert value(stored, IN_HAND, **handler) == 0

        entries = redis_server.client().xrange("command_received")
        ids = {str(USER), *(entry.decode() for entry, _ in entries)}
        ids |= {key.decode() for key in redis_server.client().keys(marker("command_received", "*"))}
        assert len(ids) == 1 + 2 * COMMANDS
        texts = {text for read in (said, stored) for _, given in read for _, text in given}
        assert not [text for text in texts for id_ in ids if text and (id_ in text)]


async def test_an_unread_entry_has_an_age_and_a_server_that_is_away_has_none(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Lag in entries and in seconds; without Redis neither is 0, both are away."""
    http = str(free_port())
    client = redis_server.client()
    client.xgroup_create("command_received", "backend", id="0", mkstream=True)
    backend = Service(
        "backend",
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'backend.db'}",
        REDIS_URL=redis_server.url,
        HTTP_PORT=http,
    )
    group = {"stream": "command_received", "group": "backend"}
    with backend:
        backend.wait_for(f"http://127.0.0.1:{http}/ready")
        assert await eventually(reaches(http, 0, "herald_group_lag_seconds", **group))
        client.xadd("command_received", {"__data__": "no event"}, id="1000-0")
        buried = reaches(http, 1, "herald_dead_letters_total", **group)
        assert await eventually(buried)
        assert value(scraped(http), STANDING, stream="command_received") == 1
        client.delete(dead_letters_of("command_received"))
        assert value(scraped(http), STANDING, stream="command_received") == 0
        redis_server.kill()
        without = scraped(http)
        assert value(without, STANDING, stream="command_received") is None
        assert value(without, "herald_group_lag_entries", **group) is None
        assert value(without, "herald_group_lag_seconds", **group) is None
        assert value(without, "herald_redis_memory_used_bytes") is None
        assert value(without, "herald_dead_letters_total", **group) == 1


async def test_what_handlers_have_in_hand_is_told(broker: StreamBroker) -> None:
    """Of all groups of a stream together; before they are started nobody knows."""
    leave = asyncio.Event()

    async def handler(_: Said) -> None:
        await leave.wait()

    async def until_in_hand(wanted: float) -> None:
        async with asyncio.timeout(20):
            while catalogue.IN_HAND.series != {("said",): wanted}:
                await asyncio.sleep(0.01)
                await measure_all()

    for group in "gh":
        broker.subscribe_event(SAID, group=group)(handler)
    await measure_all()
    assert catalogue.IN_HAND.series == {}
    await broker.publish_events(SAID, [(None, said(number)) for number in range(3)])
    await broker.start_consumers()
    await until_in_hand(6)
    leave.set()
    await until_in_hand(0)


async def test_lag_is_told_in_entries_and_seconds_or_not_at_all(redis_server: RedisServer) -> None:
    """The age is that of the oldest entry not read; where Redis has lost count nobody knows."""
    client: Any = Redis.from_url(redis_server.url)
    group = Group(client, "command_received", "ledger", "a member")
    await group.create()
    assert (await group.state()).lag_seconds == 0
    now = time()
    for ago in (60, 30, 10):
        await client.xadd("command_received", {"a": "b"}, id=f"{int((now - ago) * 1000)}-0")
    state = await group.state()
    assert state.lag == 3
    assert state.lag_seconds == pytest.approx(60, abs=20)
    (first,) = await group.read(1, 0.01)
    state = await group.state()
    assert state.lag == 2
    assert state.lag_seconds == pytest.approx(30, abs=20)
    last = (await client.xrevrange("command_received", count=1))[0][0]
    second = (await client.xrange("command_received", f"({first.id}", count=1))[0][0]
    assert second != last
    await client.xdel("command_received", second)
    state = await group.state()
    assert (state.lag, state.lag_seconds) == (None, None)
    await client.aclose()
