"""What python-telegram-bot does that Herald works around."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from telegram import Bot
from telegram.error import InvalidToken, TelegramError
from telegram.ext import ApplicationBuilder, MessageHandler, filters
from telegram.request import BaseRequest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import TOKEN, Service, url_of
from tests.upstream import still


async def test_it_confirms_what_it_has_not_handled(sim: Service) -> None:
    """With the updates in a queue of its own, so that a kill loses them."""
    begun: list[Any] = []

    async def never_end(update: Any, _context: Any) -> None:
        begun.append(update)
        await asyncio.Event().wait()

    builder = ApplicationBuilder().token(TOKEN).base_url(f"{url_of(sim)}/bot")
    application = builder.concurrent_updates(False).build()  # noqa: FBT003 — their signature
    application.add_handler(MessageHandler(filters.ALL, never_end))
    async with SimClient(url_of(sim)) as telegram:
        await telegram.ready()
        await telegram.write_many("hello", count=20)
        await application.initialize()
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling(poll_interval=0, timeout=1)
        await eventually(lambda: len(begun) == 1)
        confirmed = False
        for _ in range(50):
            confirmed = (await telegram.overview()).bot.pending == 0
            if confirmed:
                break
            await asyncio.sleep(0.1)
        await application.updater.stop()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    still(
        confirmed and len(begun) == 1,
        "run_polling confirms what it fetched",
        "shared.telegram",
    )


@asynccontextmanager
async def answering(status: int) -> AsyncIterator[str]:
    """A Bot API server that answers everything with one status, as a proxy's page."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_404_of_anybody_is_a_wrong_token() -> None:
    """One from a proxy, for a minute, looks like a token that no waiting can help."""
    async with answering(404) as url:
        bot = Bot(TOKEN, base_url=f"{url}/bot")
        error: TelegramError | None = None
        try:
            await bot.get_me()
        except TelegramError as raised:
            error = raised
    still(isinstance(error, InvalidToken), "A 404 is InvalidToken", "shared.telegram")


def test_an_answer_that_was_cut_short_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Texts and names of users stand in the log."""
    with caplog.at_level(logging.DEBUG), pytest.raises(TelegramError):
        BaseRequest.parse_json_payload(b'{"ok": true, "result": [{"text": "a secret')
    still(
        "a secret" in caplog.text,
        "What was cut short is logged",
        "parse_json_payload in shared.telegram",
    )
