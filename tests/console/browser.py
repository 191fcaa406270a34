"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Run a browser without a window."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "there is no chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        # A container has no namespaces to sandbox with; the pages are our own.
        chromium = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=120_000
        )
        try:
            yield chromium
        finally:
            await chromium.close()


@asynccontextmanager
async def page_of(chromium: Browser, **context: Any) -> AsyncIterator[Page]:
    """Open a page of its own; what its scripts or its policy refuse fails the test."""
    faults: list[str] = []
    opened = await chromium.new_context(**{"viewport": DESK, **context})
    opened.set_default_timeout(60_000)
    page = await opened.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security" in said.text else None,
    )
    try:
        yield page
    finally:
        await opened.close()
    assert faults == []


async def obstacles(page: Page) -> list[str]:
    """Return what axe-core says keeps people from using a page as it stands."""
    # The policy of the page forbids scripts of others, so axe is run beside it.
    found_by_axe = await Axe().run(page)
    return [f"{it['id']}: {it['help']}" for it in found_by_axe.response["violations"]]
