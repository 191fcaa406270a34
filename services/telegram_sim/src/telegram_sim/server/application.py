"""The simulator as a process: it listens, it serves until a signal, it ends cleanly."""

import asyncio
import signal

from aiohttp import web

from telegram_sim import logs
from telegram_sim.api.parameters import LARGEST_BODY
from telegram_sim.control import ControlApi
from telegram_sim.page import ChatPage
from telegram_sim.server.bot_api import BotApi, not_found
from telegram_sim.server.origins import Origins
from telegram_sim.settings import Settings
from telegram_sim.state import State, StateError, StateFile
from telegram_sim.world.simulator import Simulator

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_PERIOD = 2.0
LONGEST_REQUEST_LINE = 64 * 1024  # a whole message may come in the query


class ListenError(Exception):
    """The address cannot be had; its text is the whole message."""


def application(simulator: Simulator) -> web.Application:
    """Return the web application of a simulator."""
    settings = simulator.settings
    app = web.Application(
        client_max_size=LARGEST_BODY,
        middlewares=[Origins(settings.names, settings.origins).refuse_foreign],
    )
    bot_api = BotApi(simulator)
    bot_api.add_to(app)
    ControlApi(simulator).add_to(app)
    ChatPage(simulator).add_to(app)
    app.router.add_get("/health", health)
    app.router.add_route("*", "/{path:.*}", not_found)

    async def begin(_app: web.Application) -> None:
        simulator.deliveries.start(simulator.bots.values(), bot_api.reply)

    app.on_startup.append(begin)
    return app


async def health(_request: web.Request) -> web.Response:
    """Say that the simulator serves."""
    return web.json_response({"ok": True})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ListenError: The address cannot be had.
        StateError: The state file cannot be opened, or can no longer be written.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def fail(problem: StateError) -> None:
        if not stopped.done():
            stopped.set_exception(problem)

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    for signal_ in STOP_SIGNALS:
        loop.add_signal_handler(signal_, stop)
    state = StateFile(settings.state, fail) if settings.state else State()
    try:
        simulator = Simulator(settings, state)
        runner = web.AppRunner(
            application(simulator),
            access_log=None,
            handler_cancellation=True,
            max_line_size=LONGEST_REQUEST_LINE,
            shutdown_timeout=GRACE_PERIOD,
        )
        await runner.setup()
        try:
            port = await _listen(runner, settings)
            url = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{port}"
            logs.info("listening", url=url, port=port, state=str(settings.state or "memory"))
            await stopped
            logs.info("stopping")
        finally:
            await simulator.stop()
            await runner.cleanup()
    finally:
        await state.close()


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
    try:
        await site.start()
    except OSError as problem:
        raise ListenError(
            f"cannot listen on {settings.host} port {settings.port}: {problem.strerror or problem}"
        ) from problem
    addresses = runner.addresses
    return int(addresses[0][1])
