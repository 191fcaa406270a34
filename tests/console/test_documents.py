"""The documents of REST API and events are read in a browser that reaches the backend alone."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Route, expect

from tests.console.browser import DESK, PHONE, page_of
from tests.console.test_console import backend, picture
from tests.processes import get_status
from tests.servers import RedisServer

PATIENCE = 60_000


async def test_both_documents_are_shown_and_nothing_foreign_is_asked_for(
    tmp_path: Path, chromium: Browser, redis_server: RedisServer
) -> None:
    """Every operation, every event, under a policy without inline scripts or styles."""
    foreign: list[str] = []

    async def here_only(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            await route.continue_()
        else:
            foreign.append(route.request.url)
            await route.abort()

    with backend(tmp_path, redis_server, CONSOLE_MODE="off") as service:
        url = f"http://127.0.0.1:{service.variables['HTTP_PORT']}/docs"
        service.wait_for(f"{url}/", seconds=120)
        for size in (DESK, PHONE):
            async with page_of(chromium, viewport=size) as page:
                await page.route("**/*", here_only)
                await page.goto(url)
                for path in ("/users", "/debug/command", "/ready"):
                    operation = page.locator(f'[data-path="{path}"]').first
                    await expect(operation).to_be_visible(timeout=PATIENCE)
                await page.get_by_role("link", name="Events").click()
                title = page.get_by_role("heading", name="backend").first
                await expect(title).to_be_visible(timeout=PATIENCE)
                example = page.get_by_text("/command test arg1 arg2").first
                await expect(example).to_be_visible(timeout=PATIENCE)
                await picture(page, f"events-{size['width']}")
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert foreign == []


def test_without_debug_endpoints_there_are_no_documents(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """As on a server, where nobody has asked for them."""
    with backend(tmp_path, redis_server, DEBUG_ENDPOINTS="off") as service:
        url = f"http://127.0.0.1:{service.variables['HTTP_PORT']}"
        service.wait_for(f"{url}/health", seconds=120)
        paths = (
            "/openapi.json",
            "/docs",
            "/docs/",
            "/docs/events",
            "/docs/asyncapi.json",
            "/docs/openapi/swagger-ui.css",
        )
        assert {get_status(f"{url}{path}") for path in paths} == {404}
