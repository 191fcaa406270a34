"""An operator sees streams live in a browser, and decides on dead letters, each once."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from shared.generated.events import EventRefusedError, command_received
from shared.generated.schemas import CommandReceived
from shared.keys import attempts_of
from shared.streams import Delivery, Limits, StreamBroker, TryLaterError
from shared.streams.consume.attempts import KEPT
from tests.conditions import eventually
from tests.console.browser import DESK, PHONE, obstacles, page_of
from tests.processes import TOKEN as BOT_TOKEN
from tests.processes import Service, simulator
from tests.servers import RedisServer, free_port

TOKEN = "a-token-of-these-tests-only"
PATIENCE = 60_000
VIEWS = {"streams": "#entries > li", "letters": "#graves > li", "stack": "#parts > tr"}
"""Each view with what is there once it shows something."""


def backend(folder: Path, server: RedisServer, **variables: str) -> Service:
    """Return a backend with a console."""
    return Service(
        "backend",
        DATABASE_URL=f"sqlite:///{folder}/database.sqlite3",
        REDIS_URL=server.url,
        HTTP_PORT=str(free_port()),
        **{"CONSOLE_MODE": "open", **variables},
    )


def url_of(service: Service) -> str:
    """Return the address of its console."""
    return f"http://127.0.0.1:{service.variables['HTTP_PORT']}/console/"


@pytest.fixture
def service(tmp_path: Path, redis_server: RedisServer) -> Iterator[Service]:
    """A backend with an open console, serving."""
    with backend(tmp_path, redis_server) as service:
        service.wait_for(url_of(service), seconds=120)
        yield service


async def publish(broker: StreamBroker, event_id: str, text: str) -> None:
    """Publish a command."""
    event = CommandReceived(command=text, args=[], user_id=7, timestamp=datetime.now(UTC))
    await broker.publish_event(command_received, event, event_id=event_id)


async def refuse(broker: StreamBroker, event_id: str) -> None:
    """Put a command into the dead letters that can be put back."""
    data = {"command": "/poison", "args": [], "user_id": 7, "timestamp": "2026-01-31T12:00:00Z"}
    kind = {"specversion": "1.0", "type": command_received.name, "source": "/tests"}
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(
            command_received,
            {**kind, "id": event_id, "data": data},
            event_id=event_id,
            reason="<b>not</b> now",
        )


def shown(page: Page, text: str, where: str = "#entries") -> Locator:
    """Return the items of a list with a text."""
    return page.locator(f"{where} > li", has_text=text)


async def test_entries_land_and_groups_are_seen_to_fall_behind(
    service: Service, chromium: Browser, broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Without a reload: an entry is there, the backend dies, lag grows, and is gone again."""
    redis_server.client().xgroup_create("command_received", "audit", id="0", mkstream=True)
    async with page_of(chromium) as page:
        await page.goto(url_of(service))
        await expect(page.locator("#live")).to_have_text("live", timeout=PATIENCE)
        await publish(broker, "42:1", "/a <img src=x onerror=alert(1)>")
        await expect(shown(page, "/a <img src=x")).to_have_count(1, timeout=PATIENCE)
        audit = page.locator("#standing tr", has_text="audit").locator("td").first
        await expect(audit).to_have_text("1", timeout=PATIENCE)
        redis_server.client().xreadgroup("audit", "me", {"command_received": ">"})
        await expect(audit).to_have_text("0", timeout=PATIENCE)
        service.kill()
        await expect(page.locator("#live")).to_contain_text("does not answer", timeout=PATIENCE)
        await publish(broker, "42:2", "/while it was away")
        service.start()
        await expect(shown(page, "/while it was away")).to_have_count(1, timeout=PATIENCE)
        await expect(page.locator("#live")).to_have_text("live", timeout=PATIENCE)
        await page.locator("#filter").fill("42:2")
        await expect(page.locator("#entries > li:visible")).to_have_count(1)


async def test_the_journey_of_an_event_is_followed_to_its_row(
    service: Service, chromium: Browser, broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Sent, published, in the stream, given to groups, stored: with times, and live."""
    redis_server.client().xgroup_create("command_received", "audit", id="0", mkstream=True)
    async with page_of(chromium) as page:
        await page.goto(url_of(service))
        for number, text in enumerate(("/start", "/command привет 🚀", "/order tea for two")):
            await publish(broker, f"42:{number - 1}", text)
        await page.locator("#entries summary", has_text="/order").click(timeout=PATIENCE)
        way = page.get_by_label("Journey of 42:1").locator("li")
        await expect(way.filter(has_text="group audit not read yet")).to_be_visible(
            timeout=PATIENCE
        )
        redis_server.client().xreadgroup("audit", "me", {"command_received": ">"})
        waits = way.filter(has_text="group audit pending, attempts: 1")
        await expect(waits).to_be_visible(timeout=PATIENCE)
        ids = [entry for entry, _ in redis_server.client().xrange("command_received")]
        redis_server.client().xack("command_received", "audit", *ids)
        done = way.filter(has_text="group audit finished with it")
        await expect(done).to_be_visible(timeout=PATIENCE)
        for step in ("sent", "published", "in the stream", "stored by store_command"):
            await expect(way.filter(has_text=step)).to_contain_text(":", timeout=PATIENCE)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await picture(page, "journey")


async def test_a_journey_tells_of_each_failed_attempt_when_and_why(
    service: Service, chromium: Browser, broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Of those that count and of one that was put off, live in the browser; another's are not."""
    tried: list[str] = []

    async def enter(event: CommandReceived, delivery: Delivery) -> None:
        tried.append(delivery.event_id)
        if event.command == "/order" and tried.count("42:2") == 1:
            raise TryLaterError("the till is closed")
        if event.command == "/order" and tried.count("42:2") < 4:
            raise RuntimeError(f"no such account, {delivery.attempt}")

    quick = Limits(block=0.05, first_retry=0.01, last_retry=0.01)
    broker.subscribe_event(command_received, group="ledger", limits=quick)(enter)
    for event_id, text in (("42:1", "/fine"), ("42:2", "/order")):
        await publish(broker, event_id, text)
    await broker.start_consumers()
    async with page_of(chromium) as page:
        await page.goto(url_of(service))
        await page.locator("#entries summary", has_text="/order").click(timeout=PATIENCE)
        way = page.get_by_label("Journey of 42:2").locator("li")
        for what, why in (
            ("put off by ledger", "the till is closed"),
            ("attempt 1 of ledger failed", "RuntimeError: no such account, 1"),
            ("attempt 2 of ledger failed", "RuntimeError: no such account, 2"),
        ):
            step = way.filter(has_text=what)
            await expect(step).to_contain_text(why, timeout=PATIENCE)
            await expect(step.locator("time")).to_be_visible()
        await expect(way.filter(has_text="group ledger finished with it")).to_be_visible(
            timeout=PATIENCE
        )
        await page.locator("#entries summary", has_text="/fine").click()
        other = page.get_by_label("Journey of 42:1").locator("li")
        await expect(other.filter(has_text="ledger finished")).to_be_visible(timeout=PATIENCE)
        await expect(other.filter(has_text="failed")).to_have_count(0)
    assert 0 < redis_server.client().ttl(attempts_of(command_received.name)) <= KEPT


async def test_a_dead_letter_is_replayed_once_and_another_dropped(
    service: Service,
    chromium: Browser,
    broker: StreamBroker,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    """Each after a confirmation, by keyboard as well; the decision is shown and logged."""
    for event_id in ("poison", "junk"):
        await refuse(broker, event_id)
    async with page_of(chromium) as page:
        await page.goto(f"{url_of(service)}#letters")
        poison = page.get_by_label("Select poison")
        await expect(shown(page, "<b>not</b> now", "#graves")).to_have_count(2, timeout=PATIENCE)
        await page.locator("#sift").fill("poison")
        await poison.check()
        await page.get_by_role("button", name="Replay 1").click()
        await page.keyboard.press("Escape")
        await expect(page.locator("#graves > li")).to_have_count(2)
        await page.get_by_role("button", name="Replay 1").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#no")).to_be_focused()
        await page.locator("#yes").press("Enter")
        await expect(page.locator("#outcome")).to_have_text("Replayed 1 of 1.", timeout=PATIENCE)
        await page.locator("#sift").fill("")
        await page.get_by_label("Select junk").check()
        await page.get_by_role("button", name="Drop 1").click()
        await page.locator("#yes").click()
        await expect(page.locator("#outcome")).to_have_text("Dropped 1 of 1.", timeout=PATIENCE)
        await expect(page.locator("#graves > li")).to_have_count(0, timeout=PATIENCE)
        await expect(shown(page, "replay command_received poison", "#audit")).to_have_count(1)
        await expect(shown(page, "drop command_received junk", "#audit")).to_have_count(1)
    client = redis_server.client()
    assert client.xlen("command_received") == 1
    assert client.xlen(command_received.dead_letters) == 0
    assert await eventually(lambda: "new=['poison']" in service.log)
    assert "who=127.0.0.1" in service.log


async def test_the_stack_is_coloured_by_health_and_says_who_polls(
    tmp_path: Path, chromium: Browser, redis_server: RedisServer
) -> None:
    """Without a reload: who works, in which version and role; a dead bot, and one that is back."""
    here = {"REDIS_URL": redis_server.url, "API_BASE_URL": "http://127.0.0.1:1"}
    telegram = simulator()
    url = f"http://127.0.0.1:{telegram.variables['SIM_PORT']}"
    port = str(free_port())
    variables = {"TELEGRAM_BOT_TOKEN": BOT_TOKEN, "TELEGRAM_API_URL": url, "HEALTH_PORT": port}
    bot = Service("tg_bot", **here, **variables)
    asked = f"tg_bot=http://127.0.0.1:{port}/health telegram_sim={url}/health"
    with telegram, bot, backend(tmp_path, redis_server, CONSOLE_ADDRESSES=asked) as service:
        service.wait_for(url_of(service), seconds=120)
        bot.wait_for(f"http://127.0.0.1:{port}/health", seconds=120)
        async with page_of(chromium) as page:
            await page.goto(f"{url_of(service)}#stack")
            await expect(part(page, "tg_bot")).to_contain_text("✓ works", timeout=PATIENCE)
            await expect(part(page, "tg_bot")).to_contain_text(f"{version('tg_bot')}polls")
            await expect(part(page, "telegram_sim")).to_contain_text("✓ works")
            await expect(part(page, "redis")).to_contain_text("✓ works")
            await expect(part(page, "postgres")).to_contain_text("SQLite 3.")
            await expect(part(page, "prometheus")).to_contain_text("not started here")
            await expect(page.locator("#health")).to_have_text("All that is asked works.")
            box = page.locator("#picture g.part", has_text="tg_bot")
            await expect(box).to_have_class("part good")
            await expect(box.locator("rect")).to_be_visible()
            await expect(box).to_contain_text("✓")
            bot.kill()
            await expect(box).to_have_class("part bad", timeout=PATIENCE)
            await expect(part(page, "tg_bot")).to_contain_text("✗ does not answer")
            await expect(page.locator("#health")).to_contain_text("tg_bot does not answer")
            await picture(page, "stack-bad")
            bot.start()
            await expect(box).to_have_class("part good", timeout=PATIENCE)
            await picture(page, "stack-good")


def part(page: Page, name: str) -> Locator:
    """Return the rows of a part of the stack."""
    return page.locator("#parts tr", has=page.get_by_role("rowheader", name=name))


async def test_nothing_keeps_people_from_using_it(
    service: Service, chromium: Browser, broker: StreamBroker
) -> None:
    """axe-core has nothing to say, light or dark, and nothing is wider than a desk or a phone."""
    await publish(broker, "42:1", "/a " + "long " * 80)
    await refuse(broker, "poison")
    for scheme, size in ((s, size) for s in ("light", "dark") for size in (DESK, PHONE)):
        look = {"viewport": size, "color_scheme": scheme}
        async with page_of(chromium, bypass_csp=True, **look) as page:
            for view, there in VIEWS.items():
                await page.goto(f"{url_of(service)}#{view}")
                await expect(page.locator(there).first).to_be_visible(timeout=PATIENCE)
                assert await obstacles(page) == []
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                await picture(page, f"{view}-{scheme}-{size['width']}")
            await page.goto(f"{url_of(service)}#letters")
            await page.get_by_label("Select poison").check()
            await page.get_by_role("button", name="Drop 1").click()
            assert await obstacles(page) == []


async def picture(page: Page, name: str) -> None:
    """Keep what is seen in the folder that SCREENSHOTS names, where it does."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/console-{name}.png")


async def test_a_login_lets_in_who_knows_the_token(
    chromium: Browser, redis_server: RedisServer, tmp_path: Path
) -> None:
    """And nobody else, whichever page they ask for; a log-out ends it."""
    with backend(tmp_path, redis_server, CONSOLE_MODE="login", CONSOLE_TOKEN=TOKEN) as service:
        service.wait_for(url_of(service), seconds=120)
        async with page_of(chromium) as page:
            await page.goto(url_of(service))
            await page.get_by_label("Token").fill("wrong")
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("alert")).to_have_text("this is not the token")
            await page.get_by_label("Token").fill(TOKEN)
            await page.get_by_role("button", name="Log in").click()
            await expect(page.locator("#standing h3").first).to_be_visible(timeout=PATIENCE)
            (cookie,) = await page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
                *(True, "Strict"),
                "/console",
            )
            await page.get_by_role("button", name="Log out").click()
            await expect(page.get_by_label("Token")).to_be_visible(timeout=PATIENCE)
        assert TOKEN not in service.log
