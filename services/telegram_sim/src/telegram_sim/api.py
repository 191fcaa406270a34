"""The Bot API over HTTP: /bot<token>/<method>."""

import itertools
from weakref import WeakKeyDictionary

from aiohttp import web

from telegram_sim import logs
from telegram_sim.bots import Bot
from telegram_sim.errors import ApiError, UnknownMethodError
from telegram_sim.methods import METHODS, Call
from telegram_sim.overlaps import Peer
from telegram_sim.parameters import read_parameters
from telegram_sim.serial import Json, encode
from telegram_sim.simulator import Simulator

SERVER_ERROR = 500
LOGGED_OUT = ApiError(400, "Logged out")


class BotApi:
    """Answers every Bot API request."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._numbers = itertools.count(1)
        self._connections: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def add_to(self, app: web.Application) -> None:
        """Make an application answer Bot API requests."""
        app.router.add_route("*", r"/bot{token:[^/]*}/{method:[^/]*}", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        try:
            body = await self._carry_out(request)
        except ApiError as problem:
            return refusal(problem)
        return web.Response(body=body, content_type="application/json")

    async def _carry_out(self, request: web.Request) -> bytes:
        simulator = self._simulator
        name = request.match_info["method"].lower()
        try:
            bot = simulator.bot(request.match_info["token"])
            self._check_logged_in(bot)
            parameters = await read_parameters(request)
            method = METHODS.get(name or parameters.text("method").lower())
            if method is None:
                raise UnknownMethodError
            result = await method(Call(simulator, bot, parameters, self._peer(request)))
        finally:
            await simulator.state.settled()
        return result.serialized()

    def _check_logged_in(self, bot: Bot) -> None:
        if bot.profile.logged_out_until > self._simulator.clock.now():
            raise LOGGED_OUT

    def _peer(self, request: web.Request) -> Peer:
        transport = request.transport
        if transport is None:
            return "", next(self._numbers)
        number = self._connections.get(transport)
        if number is None:
            number = self._connections[transport] = next(self._numbers)
        return request.remote or "", number


def refusal(problem: ApiError) -> web.Response:
    """Return the answer that tells of a problem, in the Bot API's shape."""
    about: Json = {"ok": False, "error_code": problem.code, "description": problem.description}
    headers = {}
    if problem.parameters:
        about["parameters"] = problem.parameters
    if problem.retry_after:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.code >= SERVER_ERROR:
        logs.warning("answered with a server error", code=problem.code)
    return web.Response(
        body=encode(about),
        status=problem.code,
        headers=headers,
        content_type="application/json",
    )
