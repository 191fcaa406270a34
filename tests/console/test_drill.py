"""What an operator lives through: a backend that dies, then an event that nobody can handle.

Prometheus and Alertmanager are the real ones, and so are bot, backend, Redis and browser.
"""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from shared.keys import dead_letters_of
from tests.conditions import eventually
from tests.console.browser import page_of
from tests.console.test_console import PATIENCE, part, shown, url_of
from tests.observability.watched import Watched
from tests.processes import Service
from tests.servers import free_port

STREAM, GROUP = "command_received", "backend"
EVENTS = {"stream": STREAM, "group": GROUP}
USER = 700_123_456
POISON = "/command poison"
REFUSE = f"""CREATE TRIGGER refused BEFORE INSERT ON commands WHEN NEW.command = '{POISON}'
BEGIN SELECT RAISE(ABORT, 'no such account'); END"""


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A stack that works, and those who watch it."""
    with Watched(tmp_path) as watched:
        yield watched


@pytest.fixture
def alone(watched: Watched) -> Iterator[Service]:
    """A console that outlives the backend."""
    health = {
        "backend": f"http://{watched.addresses['backend']}/health",
        "tg_bot": f"http://{watched.addresses['tg_bot']}/health",
    }
    addresses = " ".join(f"{name}={url}" for name, url in health.items())
    port = str(free_port())
    service = Service(
        "console", REDIS_URL=watched.redis.url, HTTP_PORT=port, CONSOLE_ADDRESSES=addresses
    )
    service.start(sys.executable, "-m", "tests.console.alone")
    try:
        service.wait_for(url_of(service), seconds=120)
        yield service
    finally:
        service.kill()


async def test_a_dead_backend_and_a_poisoned_event_are_seen_told_and_mended(
    watched: Watched, alone: Service, chromium: Browser
) -> None:
    """Alert, lag, recovery; alert, replay in the browser, and the row is there once."""
    async with page_of(chromium) as page:
        await page.goto(url_of(alone))
        lag = lag_of(page)
        await expect(lag).to_have_text("0", timeout=PATIENCE)

        watched.backend.kill()
        for number in range(3):
            await write(watched, f"/command while-away {number}")
        await asyncio.to_thread(watched.hears, "ServiceDown", job="backend")
        await expect(lag).to_have_text("3", timeout=PATIENCE)
        await page.get_by_role("link", name="Stack").click()
        await expect(part(page, "backend")).to_contain_text("does not answer", timeout=PATIENCE)

        watched.backend.start()
        await asyncio.to_thread(watched.hears, "ServiceDown", "resolved", job="backend")
        await expect(part(page, "backend")).to_contain_text("✓ works", timeout=PATIENCE)
        await page.get_by_role("link", name="Streams").click()
        await expect(lag).to_have_text("0", timeout=PATIENCE)
        assert rows(watched, "/command while-away 0") == 1

        change(watched, REFUSE)
        await write(watched, POISON)
        await asyncio.to_thread(watched.hears, "DeadLetters", **EVENTS)
        await asyncio.to_thread(watched.hears, "DeadLettersStand", stream=STREAM)
        assert rows(watched, POISON) == 0
        change(watched, "DROP TRIGGER refused")
        await page.get_by_role("link", name="Dead letters").click()
        letter = shown(page, "no such account", "#graves")
        await expect(letter).to_have_count(1, timeout=PATIENCE)
        await letter.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Replay 1").click()
        await page.locator("#yes").click()
        await expect(page.locator("#outcome")).to_have_text("Replayed 1 of 1.", timeout=PATIENCE)
        await expect(letter).to_have_count(0, timeout=PATIENCE)
        await asyncio.to_thread(watched.hears, "DeadLettersStand", "resolved", stream=STREAM)
        assert await eventually(lambda: rows(watched, POISON) == 1)

        client = watched.redis.client()
        assert client.xlen(dead_letters_of(STREAM)) == 0
        await eventually(lambda: client.xpending(STREAM, GROUP)["pending"] == 0)
        assert rows(watched, POISON) == 1


def lag_of(page: Page) -> Locator:
    """Return the cell that says how many entries the backend has not read."""
    return page.locator("#standing tr", has_text=GROUP).locator("td").first


async def write(watched: Watched, text: str) -> None:
    """Write to the bot as a person."""
    await asyncio.to_thread(watched.telegram, lambda client: client.write(text, user=USER))


def change(watched: Watched, statement: str) -> None:
    """Change the database beside the backend, as an operator would."""
    with contextlib.closing(sqlite3.connect(watched.database, timeout=30)) as database:
        database.execute(statement)
        database.commit()


def rows(watched: Watched, command: str) -> int:
    """Return how often a command is stored."""
    with contextlib.closing(sqlite3.connect(watched.database, timeout=30)) as database:
        query = "SELECT count(*) FROM commands WHERE command = ?"
        count: int = database.execute(query, (command,)).fetchone()[0]
    return count
