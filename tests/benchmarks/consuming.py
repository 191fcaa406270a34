"""Consuming: from the stream into the backend's table, each command once."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg

from shared.generated.events import broker, command_received
from shared.generated.schemas import CommandReceived
from tests.benchmarks.findings import Report
from tests.postgres import PostgresServer, find_binaries
from tests.processes import Service
from tests.servers import RedisServer, free_port

COMMANDS = 3_000
DEADLINE = 120.0


def measure(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """Store a backlog in SQLite, and in PostgreSQL where there is one, and add the rates."""
    rates = []
    for number in range(rounds):
        say(f"consume into SQLite, round {number + 1} of {rounds}")
        with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
            path = Path(folder, "db")
            rates.append(_store(f"sqlite+aiosqlite:///{path}", partial(stored, path)))
    report.state("consume into SQLite", "/s", rates)
    if find_binaries() is None:
        report.note("consume into PostgreSQL: not measured, its server is not on this machine")
        return
    rates = []
    with PostgresServer() as server:
        for number in range(rounds):
            say(f"consume into PostgreSQL, round {number + 1} of {rounds}")
            rates.append(_store(url := server.create_database(), partial(_stored_in, url)))
    report.state("consume into PostgreSQL", "/s", rates)


def _store(database_url: str, stored: Callable[[], int]) -> float:
    """Return commands a second from the first row to the last."""
    with RedisServer() as redis:
        asyncio.run(_publish(redis.url))
        backend = Service(
            "backend",
            DATABASE_URL=database_url,
            REDIS_URL=redis.url,
            HTTP_PORT=str(free_port()),
            LOG_LEVEL="ERROR",
        )
        with backend:
            first = _until(stored, 1)
            began = time.perf_counter()
            _until(stored, COMMANDS)
            return (COMMANDS - first) / (time.perf_counter() - began)


async def _publish(redis_url: str) -> None:
    await broker.connect(redis_url, source="/bench")
    now = datetime.now(UTC)
    events = (
        CommandReceived(command=f"/command {n}", args=[str(n)], user_id=1001, timestamp=now)
        for n in range(COMMANDS)
    )
    await broker.publish_events(command_received, ((None, event) for event in events))
    await broker.close()


def _until(stored: Callable[[], int], wanted: int) -> int:
    deadline = time.perf_counter() + DEADLINE
    while (count := stored()) < wanted:
        if time.perf_counter() > deadline:
            raise AssertionError(f"{count} of {wanted} commands are stored")
        time.sleep(0.02)
    return count


def stored(path: Path) -> int:
    """Return how many commands an SQLite file holds; none while it is being made."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM commands").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def _stored_in(url: str) -> int:
    """Return how many commands a PostgreSQL database holds; none while it is being made."""
    try:
        with psycopg.connect(url.replace("+asyncpg", ""), connect_timeout=10) as connection:
            row = connection.execute("SELECT count(*) FROM commands").fetchone()
            return int(row[0]) if row else 0
    except psycopg.errors.UndefinedTable:
        return 0
