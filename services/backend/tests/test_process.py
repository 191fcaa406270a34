"""The backend as a process: how it starts, waits, drains and ends."""

import asyncio
import json
import os
import socket
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from shared.generated.events import broker, publish_command_received
from shared.generated.schemas import CommandReceived
from tests.conditions import eventually
from tests.postgres import PostgresServer
from tests.processes import Service
from tests.servers import RedisServer, free_port

UNREACHABLE = "redis://127.0.0.1:1"
BACKLOG = 3000
"""Commands; enough of them that a signal comes while they are being stored."""
SABOTAGE = """
import asyncio, sys
from backend.__main__ import main
from shared.generated.events import broker

consumers_stopped = broker.consumers_stopped

async def strike():
    broker.consumers[0]._task.cancel()
    await consumers_stopped()

broker.consumers_stopped = strike
sys.exit(main())
"""
"""The backend, whose subscriber ends as soon as it runs."""


class Backend(Service):
    """A backend with JSON logs on a port that it chooses itself."""

    def __init__(self, **variables: str) -> None:
        super().__init__("backend", **{"LOG_FORMAT": "json", "HTTP_PORT": "0", **variables})

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return every whole line of its log so far."""
        whole = self.log.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def logged(self, event: str) -> dict[str, Any] | None:
        """Return the first line about an event, if there is one."""
        return next((line for line in self.lines if line["event"] == event), None)

    @property
    def handled(self) -> list[str]:
        """Return the ids of the events that it has stored."""
        handled = [line for line in self.lines if line["event"] == "events handled"]
        return [event_id for line in handled for event_id in line["new"]]

    @property
    def url(self) -> str:
        """Return where it listens."""
        listening = self.logged("listening")
        assert listening is not None, self.log
        return str(listening["url"])

    def get(self, path: str) -> httpx.Response:
        """Ask it for something."""
        return httpx.get(f"{self.url}{path}", timeout=10)


def stored(url: str) -> int:
    """Return how many commands an SQLite file holds."""
    path = url.removeprefix("sqlite+aiosqlite:///")
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM commands").fetchone()
    return int(count)


async def publish(url: str, numbers: range) -> None:
    """Publish a command for each number, as the bot does."""
    await broker.connect(url)
    now = datetime.now(UTC)
    events = {
        f"1:{n}": CommandReceived(command=f"/command {n}", args=[str(n)], user_id=1, timestamp=now)
        for n in numbers
    }
    try:
        await asyncio.gather(
            *(publish_command_received(event, event_id=id_) for id_, event in events.items())
        )
    finally:
        await broker.close()


def test_a_missing_variable_is_one_line_and_exit_78() -> None:
    """Both names at once, and where to set them; an empty one counts as missing."""
    with Backend(DATABASE_URL="") as running:
        assert running.wait() == os.EX_CONFIG
        (line,) = running.log.splitlines()
        assert "DATABASE_URL" in line
        assert "REDIS_URL" in line


def test_a_wrong_variable_is_one_line_and_exit_78(sqlite_url: str) -> None:
    """Before anything is connected to."""
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": UNREACHABLE, "HTTP_PORT": "eighty"}
    with Backend(**variables) as running:
        assert running.wait() == os.EX_CONFIG
        (line,) = running.log.splitlines()
        assert "HTTP_PORT" in line


def test_a_database_that_refuses_us_is_one_line_and_exit_78(tmp_path: Path) -> None:
    """A folder that is not there is the operator's to make."""
    url = f"sqlite+aiosqlite:///{tmp_path}/nowhere/b.db"
    with Backend(DATABASE_URL=url, REDIS_URL=UNREACHABLE) as running:
        assert running.wait() == os.EX_CONFIG
        assert "DATABASE_URL" in running.log
        assert "Traceback" not in running.log


def test_a_taken_port_is_one_line_and_exit_69(sqlite_url: str) -> None:
    """It says which address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": UNREACHABLE, "HTTP_PORT": port}
        with Backend(**variables) as running:
            assert running.wait() == os.EX_UNAVAILABLE
            assert f"HTTP_PORT={port}" in running.log
            assert "Traceback" not in running.log


async def test_it_waits_for_redis_and_says_so(sqlite_url: str, redis: RedisServer) -> None:
    """Live but not ready while Redis is away; what was published meanwhile is stored later."""
    await publish(redis.url, range(3))
    redis.kill()
    with Backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("redis unavailable"))
        assert running.get("/health").json() == {"status": "ok"}
        unready = running.get("/ready")
        assert unready.status_code == 503
        assert unready.json()["reasons"][0].startswith("redis: ")
        redis.start()
        await eventually(lambda: stored(sqlite_url) == 3)
        assert running.get("/ready").status_code == 200
        assert running.terminate() == 0


async def test_it_waits_for_the_database_and_says_so(
    redis: RedisServer, postgres: PostgresServer
) -> None:
    """No crash loop: it starts to serve once the database is there, migrated."""
    del postgres  # asked for, so that a machine without one skips
    with PostgresServer() as server:
        url = server.create_database()
        server.kill()
        with Backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
            await eventually(lambda: running.logged("waiting for the database"))
            assert running.logged("listening") is None
            server.start()
            await eventually(lambda: running.logged("listening"))
            assert running.logged("database migrated")
            assert running.get("/ready").json()["ready"]
            assert running.terminate() == 0
            assert server.password not in running.log


async def test_sigterm_while_it_waits_ends_it_at_once(redis: RedisServer) -> None:
    """Waiting is no reason for a SIGKILL."""
    url = f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d"
    with Backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("waiting for the database"))
        assert running.terminate() == 0


async def test_a_full_redis_turns_ready_red(sqlite_url: str, redis: RedisServer) -> None:
    """Readiness names the memory before Redis refuses anything, until there is room again."""
    client = redis.client()
    with Backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("listening"))
        await eventually(lambda: running.get("/ready").status_code == 200)
        assert running.get("/ready").json()["redis_memory_used"] == 0
        client.setrange("ballast", 20_000_000, "x")  # beside it connections weigh nothing
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.97))
        await eventually(lambda: running.get("/ready").status_code == 503)
        unready = running.get("/ready")
        (reason,) = unready.json()["reasons"]
        assert reason.endswith("of its memory are used")
        assert unready.json()["redis_memory_used"] > 0.95
        client.config_set("maxmemory", 0)
        await eventually(lambda: running.get("/ready").status_code == 200)


async def test_the_database_going_away_turns_ready_red_and_loses_nothing(
    redis: RedisServer, postgres: PostgresServer
) -> None:
    """Red with the reason, 503 for users, the command kept; green and stored when it is back."""
    del postgres
    user = {"id": 1, "first_name": "Ann"}
    with PostgresServer() as server:
        url = server.create_database()
        with Backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
            await eventually(lambda: running.logged("listening"))
            server.kill()
            await publish(redis.url, range(1))
            await eventually(lambda: running.logged("handler cannot work now"))
            unready = running.get("/ready")
            assert unready.status_code == 503
            assert unready.json()["reasons"][0].startswith("database: ")
            async with httpx.AsyncClient(base_url=running.url, timeout=10) as client:
                refused = await client.post("/users", json=user)
                assert refused.status_code == 503
                assert refused.json()["detail"].startswith("the database cannot be reached")
                server.start()
                await eventually(lambda: running.handled)
                assert (await client.post("/users", json=user)).status_code == 201
            assert running.get("/ready").json()["ready"]
            assert running.terminate() == 0
            assert "Traceback" not in running.log


async def test_sigterm_under_load_drains_and_exits_0(sqlite_url: str, redis: RedisServer) -> None:
    """What was begun is finished and acknowledged; the next process stores exactly the rest."""
    await publish(redis.url, range(BACKLOG))
    with Backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.handled)
        assert running.terminate() == 0
    before = stored(sqlite_url)
    assert before > 0
    with Backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("listening"))
        await eventually(lambda: stored(sqlite_url) == BACKLOG)
        await eventually(lambda: len(running.handled) == BACKLOG - before)
        assert not [line for line in running.lines if line.get("known")]
        assert running.terminate() == 0


async def test_two_backends_share_the_work(redis: RedisServer, postgres: PostgresServer) -> None:
    """Started at the same time on an empty database: both migrate, both store, each once."""
    variables = {"DATABASE_URL": postgres.create_database(), "REDIS_URL": redis.url}
    with Backend(**variables) as first, Backend(**variables) as second:
        for running in (first, second):
            await eventually(lambda running=running: running.logged("listening"))
        await publish(redis.url, range(BACKLOG))

        await eventually(lambda: len(first.handled) + len(second.handled) >= BACKLOG)
        assert sorted(first.handled + second.handled) == sorted(
            f"1:{number}" for number in range(BACKLOG)
        )
        assert first.handled
        assert second.handled
        assert [first.terminate(), second.terminate()] == [0, 0]


def test_when_the_subscriber_stops_by_itself_the_process_fails(
    sqlite_url: str, redis: RedisServer
) -> None:
    """A backend that no longer consumes must not look alive: non-zero, and it says why."""
    running = Backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url)
    try:
        running.start(sys.executable, "-c", SABOTAGE)
        assert running.wait() == 1
        assert running.logged("the subscriber stopped by itself")
    finally:
        running.kill()


async def test_no_log_line_holds_what_a_user_wrote(sqlite_url: str, redis: RedisServer) -> None:
    """Not even at the most talkative level."""
    await broker.connect(redis.url)
    event = CommandReceived(
        command="/command s3cret", args=["s3cret"], user_id=1, timestamp=datetime.now(UTC)
    )
    await publish_command_received(event)
    await broker.close()
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis.url, "LOG_LEVEL": "DEBUG"}
    with Backend(**variables) as running:
        await eventually(lambda: running.handled)
        assert running.terminate() == 0
        assert "s3cret" not in running.log
