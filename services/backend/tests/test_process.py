"""The backend as a process: how it starts, waits, drains and ends."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.generated.events import broker, publish_command_received
from shared.generated.schemas import CommandReceived
from tests.postgres import PostgresServer
from tests.servers import RedisServer, free_port

Eventually = Callable[..., Awaitable[Any]]
UNREACHABLE = "redis://127.0.0.1:1"


@dataclass
class Backend:
    """A running backend and what it has logged so far."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""

    def logged(self, event: str) -> dict[str, Any] | None:
        """Return the first line about an event, if there is one."""
        return next((line for line in self.lines if line.get("event") == event), None)

    @property
    def url(self) -> str:
        """Return where it listens."""
        listening = self.logged("listening")
        assert listening is not None, self.text
        return str(listening["url"])

    async def get(self, path: str) -> httpx.Response:
        """Ask it for something."""
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            return await client.get(path)

    async def ended(self, seconds: float = 30) -> int:
        """Return its exit status once it has ended by itself."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def read(self) -> None:
        """Take in the log until it ends."""
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            self.text += raw.decode()
            if raw.startswith(b"{"):
                self.lines.append(json.loads(raw))


@asynccontextmanager
async def backend(**variables: str) -> AsyncIterator[Backend]:
    """Run `python -m backend` with these variables and no others; it is gone afterwards."""
    environment = {"LOG_FORMAT": "json", "HTTP_PORT": "0", **variables}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backend"),
        env={name: value for name, value in environment.items() if value != "unset"},
        stderr=asyncio.subprocess.PIPE,
    )
    running = Backend(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def stored(url: str) -> int:
    """Return how many commands an SQLite file holds."""
    with sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///")) as connection:
        (found,) = connection.execute("SELECT count(*) FROM commands").fetchone()
    connection.close()
    return int(found)


async def publish(url: str, numbers: range) -> None:
    """Publish a command for each number, as the bot does."""
    await broker.connect(url)
    try:
        for number in numbers:
            event = CommandReceived(
                command=f"/command {number}",
                args=[str(number)],
                user_id=1,
                timestamp=datetime.now(UTC),
            )
            await publish_command_received(event, event_id=f"1:{number}")
    finally:
        await broker.close()


@pytest.mark.parametrize("value", ["unset", ""])
async def test_a_missing_variable_is_one_line_and_exit_78(value: str) -> None:
    """Both names at once, and where to set them; an empty one counts as missing."""
    async with backend(DATABASE_URL=value, REDIS_URL=value) as running:
        assert await running.ended() == os.EX_CONFIG
    (line,) = running.text.splitlines()
    assert "DATABASE_URL" in line
    assert "REDIS_URL" in line


async def test_a_wrong_variable_is_one_line_and_exit_78(sqlite_url: str) -> None:
    """Before anything is connected to."""
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": UNREACHABLE, "HTTP_PORT": "eighty"}
    async with backend(**variables) as running:
        assert await running.ended() == os.EX_CONFIG
    (line,) = running.text.splitlines()
    assert "HTTP_PORT" in line


async def test_a_database_that_refuses_us_is_one_line_and_exit_78(tmp_path: Path) -> None:
    """A folder that is not there is the operator's to make."""
    url = f"sqlite+aiosqlite:///{tmp_path}/nowhere/b.db"
    async with backend(DATABASE_URL=url, REDIS_URL=UNREACHABLE) as running:
        assert await running.ended() == os.EX_CONFIG
    assert "DATABASE_URL" in running.text
    assert "Traceback" not in running.text


async def test_a_taken_port_is_one_line_and_exit_69(sqlite_url: str) -> None:
    """It says which address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": UNREACHABLE, "HTTP_PORT": port}
        async with backend(**variables) as running:
            assert await running.ended() == os.EX_UNAVAILABLE
    assert f"HTTP_PORT={port}" in running.text
    assert "Traceback" not in running.text


async def test_it_waits_for_redis_and_says_so(
    sqlite_url: str, redis: RedisServer, eventually: Eventually
) -> None:
    """Live but not ready while Redis is away; what was published meanwhile is stored later."""
    await publish(redis.url, range(3))
    redis.kill()
    async with backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("redis unavailable"))
        assert (await running.get("/health")).json() == {"status": "ok"}
        unready = await running.get("/ready")
        assert unready.status_code == 503
        assert unready.json()["reasons"][0].startswith("redis: ")
        redis.start()
        await eventually(lambda: stored(sqlite_url) == 3)
        assert (await running.get("/ready")).status_code == 200
        assert await running.stop() == 0


async def test_it_waits_for_the_database_and_says_so(
    redis: RedisServer, postgres: PostgresServer, eventually: Eventually
) -> None:
    """No crash loop: it starts to serve once the database is there, migrated."""
    del postgres  # asked for, so that a machine without one skips
    with PostgresServer() as server:
        url = server.create_database()
        server.kill()
        async with backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
            await eventually(lambda: running.logged("waiting for the database"))
            assert running.logged("listening") is None
            server.start()
            await eventually(lambda: running.logged("listening"))
            assert running.logged("database migrated")
            assert (await running.get("/ready")).json()["ready"]
            assert await running.stop() == 0
        assert server.password not in running.text


async def test_sigterm_while_it_waits_ends_it_at_once(
    redis: RedisServer, eventually: Eventually
) -> None:
    """Waiting is no reason for a SIGKILL."""
    url = f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d"
    async with backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("waiting for the database"))
        assert await running.stop() == 0


async def test_the_database_going_away_turns_ready_red_and_loses_nothing(
    redis: RedisServer, postgres: PostgresServer, eventually: Eventually
) -> None:
    """Red with the reason, 503 for users, the command kept; green and stored when it is back."""
    del postgres
    user = {"id": 1, "first_name": "Ann"}
    with PostgresServer() as server:
        url = server.create_database()
        async with backend(DATABASE_URL=url, REDIS_URL=redis.url) as running:
            await eventually(lambda: running.logged("listening"))
            server.kill()
            await publish(redis.url, range(1))
            await eventually(lambda: running.logged("handler cannot work now"))
            unready = await running.get("/ready")
            assert unready.status_code == 503
            assert unready.json()["reasons"][0].startswith("database: ")
            async with httpx.AsyncClient(base_url=running.url, timeout=10) as client:
                refused = await client.post("/users", json=user)
                assert refused.status_code == 503
                assert refused.json()["detail"].startswith("the database cannot be reached")
                server.start()
                await eventually(lambda: running.logged("command stored"))
                assert (await client.post("/users", json=user)).status_code == 201
            assert (await running.get("/ready")).json()["ready"]
            assert await running.stop() == 0
    assert "Traceback" not in running.text


async def test_sigterm_under_load_drains_and_exits_0(
    sqlite_url: str, redis: RedisServer, eventually: Eventually
) -> None:
    """What was begun is finished and acknowledged; the next process stores exactly the rest."""
    await publish(redis.url, range(400))
    async with backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: running.logged("command stored"))
        assert await running.stop() == 0
    before = stored(sqlite_url)
    assert before > 0
    async with backend(DATABASE_URL=sqlite_url, REDIS_URL=redis.url) as running:
        await eventually(lambda: stored(sqlite_url) == 400)
        repeated = running.logged("command known")
        assert await running.stop() == 0
    assert repeated is None


async def test_two_backends_share_the_work(
    redis: RedisServer, postgres: PostgresServer, eventually: Eventually
) -> None:
    """Started at the same time on an empty database: both migrate, both store, each once."""
    variables = {"DATABASE_URL": postgres.create_database(), "REDIS_URL": redis.url}
    async with backend(**variables) as one, backend(**variables) as two:
        for running in (one, two):
            await eventually(lambda running=running: running.logged("listening"))
        await publish(redis.url, range(300))

        def finished() -> list[str]:
            done = [*one.lines, *two.lines]
            return [line["event_id"] for line in done if line["event"] == "command stored"]

        await eventually(lambda: len(finished()) >= 300)
        assert sorted(finished()) == sorted(f"1:{number}" for number in range(300))
        assert one.logged("command stored")
        assert two.logged("command stored")
        assert [await one.stop(), await two.stop()] == [0, 0]


async def test_when_the_subscriber_stops_by_itself_the_process_fails(
    sqlite_url: str, redis: RedisServer, eventually: Eventually
) -> None:
    """A backend that no longer consumes must not look alive: non-zero, and it says why."""
    sabotage = (
        "import asyncio, sys\n"
        "from shared.generated.events import broker\n"
        "from backend import process\n"
        "serve = process._serve\n"
        "async def sabotaged(*arguments):\n"
        "    async def strike():\n"
        "        while not broker.consumers or not broker.consumers[0].running:\n"
        "            await asyncio.sleep(0.01)\n"
        "        await asyncio.sleep(0.2)\n"
        "        broker.consumers[0]._task.cancel()\n"
        "    striking = asyncio.create_task(strike())\n"
        "    await serve(*arguments)\n"
        "process._serve = sabotaged\n"
        "from backend.__main__ import main\n"
        "sys.exit(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", sabotage),
        env={"DATABASE_URL": sqlite_url, "REDIS_URL": redis.url, "HTTP_PORT": "0"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, log = await process.communicate()
    assert process.returncode == 1
    assert b"the subscriber stopped by itself" in log
    del eventually


async def test_no_log_line_holds_what_a_user_wrote(
    sqlite_url: str, redis: RedisServer, eventually: Eventually
) -> None:
    """Not even at the most talkative level."""
    await broker.connect(redis.url)
    event = CommandReceived(
        command="/command s3cret", args=["s3cret"], user_id=1, timestamp=datetime.now(UTC)
    )
    await publish_command_received(event)
    await broker.close()
    variables = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis.url, "LOG_LEVEL": "DEBUG"}
    async with backend(**variables) as running:
        await eventually(lambda: running.logged("command stored"))
        assert await running.stop() == 0
    assert "s3cret" not in running.text
