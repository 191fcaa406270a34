"""One backend process: the API beside the worker that stores commands."""

import asyncio

from backend.app import create_app
from backend.commands import database
from backend.settings import Settings
from shared.console import console
from shared.http import serving
from shared.inbox import run_worker


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the backend until it is to stop; returning means that everything was drained.

    Raises:
        UnusableDatabaseError: The database refuses us for good.
        ListenError: Something else has the port.
        ConsumerStoppedError: The subscriber ended although nobody asked it to.
    """
    shown = console(
        settings.console_mode,
        redis_url=settings.redis_url,
        token=settings.console_token.get_secret_value(),
        service="backend",
        handled=database.handled,
        addresses=settings.console_addresses,
        chat=settings.console_chat,
        server=database.server,
    )
    debug = settings.debug_endpoints == "on"
    app = create_app(database, debug_endpoints=debug, console=shown)
    await run_worker(
        database,
        stop,
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        beside=serving(app, host=settings.http_host, port=settings.http_port),
    )
