"""A newcomer writes to the bot in the console's own window, and sees the message go through."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, FloatRect, Page, expect

from tests.conditions import eventually
from tests.console.browser import DESK, PHONE, obstacles, page_of
from tests.console.test_console import PATIENCE, backend, picture, shown, url_of
from tests.processes import TOKEN, Service, simulator
from tests.servers import RedisServer, free_port


@pytest.fixture
async def beside(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Service]:
    """A backend whose console shows the chat of a simulator that a bot polls."""
    telegram = simulator()
    chat = f"http://127.0.0.1:{telegram.variables['SIM_PORT']}"
    health = str(free_port())
    here = {"REDIS_URL": redis_server.url, "API_BASE_URL": "http://127.0.0.1:1"}
    variables = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": chat, "HEALTH_PORT": health}
    bot, service = Service("tg_bot", **here, **variables), backend(tmp_path, redis_server)
    service.variables["CONSOLE_CHAT"] = chat
    service.variables["CONSOLE_ADDRESSES"] = f"tg_bot=http://127.0.0.1:{health}/health"
    telegram.variables["SIM_FRAMES"] = url_of(service).removesuffix("/console/")
    with telegram, bot, service:
        service.wait_for(url_of(service), seconds=120)
        bot.wait_for(f"http://127.0.0.1:{health}/health", seconds=120)
        yield service


async def test_a_message_is_written_beside_the_streams_and_lands_there(
    beside: Service, chromium: Browser
) -> None:
    """Written in the chat, it stands in the stream beside it, and the bot's answer in the chat."""
    async with page_of(chromium) as page:
        await page.goto(url_of(beside))
        chat = page.frame_locator("#chat iframe")
        await chat.get_by_role("button", name="New user or group").click()
        await chat.get_by_label("Name").fill("Ada")
        await chat.get_by_role("button", name="Create").click()
        await chat.get_by_label("Message").fill("/command tea for two")
        await chat.get_by_label("Message").press("Enter")
        entry = shown(page, "/command tea for two")
        await expect(entry).to_have_count(1, timeout=PATIENCE)
        answer = chat.get_by_role("log").get_by_text("Command published!")
        await expect(answer).to_be_visible(timeout=PATIENCE)
        await entry.locator("summary").click()
        way = page.get_by_role("list", name="Journey of").locator("li")
        for name in ("fetched by tg_bot", "published", "handled by tg_bot", "stored by"):
            await expect(way.filter(has_text=name)).to_contain_text(":", timeout=PATIENCE)
        confirmation = way.filter(has_text="to Telegram by tg_bot")
        await expect(confirmation).to_contain_text(":", timeout=PATIENCE)
        await picture(page, "chat")
        aside, main = await places(page)
        assert main["x"] + main["width"] <= aside["x"]
        await page.set_viewport_size(PHONE)
        aside, main = await places(page)
        assert aside["y"] + aside["height"] <= main["y"]
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await picture(page, "chat-phone")
        await page.get_by_role("button", name="Chat").click()
        await expect(page.locator("#chat")).to_be_hidden()


async def places(page: Page) -> tuple[FloatRect, FloatRect]:
    """Return where the chat is, and where the view."""
    aside = await page.locator("#chat").bounding_box()
    main = await page.locator("main").bounding_box()
    assert aside
    assert main
    return aside, main


async def test_nothing_keeps_people_from_the_chat(beside: Service, chromium: Browser) -> None:
    """axe-core has nothing to say of the frame's place, on a desk and on a phone."""
    for size in (DESK, PHONE):
        async with page_of(chromium, viewport=size, bypass_csp=True) as page:
            await page.goto(url_of(beside))
            await expect(page.locator("#chat iframe")).to_be_visible(timeout=PATIENCE)
            assert await obstacles(page) == []


async def test_no_other_page_shows_the_chat_in_a_frame(beside: Service, chromium: Browser) -> None:
    """Under another name even the console does not: the simulator has not been told of it."""
    page = await chromium.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    await page.goto(url_of(beside).replace("127.0.0.1", "localhost"))
    await expect(page.locator("#chat iframe")).to_be_visible(timeout=PATIENCE)
    assert await eventually(lambda: "frame-ancestors" in "".join(refused))
    chat = page.frame_locator("#chat iframe")
    await expect(chat.get_by_role("button", name="New user or group")).to_have_count(0)
