"""The Bot API over HTTP: /bot<token>/<method>, and files at /file/bot<token>/<path>."""

import asyncio
import itertools
from weakref import WeakKeyDictionary

from aiohttp import web

from telegram_sim import logs
from telegram_sim.api.errors import ApiError, FloodError, NotSimulatedError, UnknownMethodError
from telegram_sim.api.parameters import Parameters, read_parameters
from telegram_sim.api.serial import Json, encode
from telegram_sim.methods import KNOWN, METHODS, Call
from telegram_sim.server import connections
from telegram_sim.state import StateError
from telegram_sim.updates.overlaps import Peer
from telegram_sim.world import faults
from telegram_sim.world.bots import Bot
from telegram_sim.world.faults import Fault
from telegram_sim.world.simulator import Simulator

LOGGED_OUT = ApiError(400, "Logged out")
NOT_IN_A_REPLY = frozenset({"setwebhook", "deletewebhook", "close", "logout"})
ERROR_NAMES = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
SERVER_ERROR = ApiError(500, ERROR_NAMES[500])
NOT_FOUND = ApiError(404, "Not Found")


class BotApi:
    """Answers every Bot API request."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._numbers = itertools.count(1)
        self._connections: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def add_to(self, app: web.Application) -> None:
        """Make an application answer Bot API requests."""
        app.router.add_route("*", r"/bot{token:[^/]*}/{method:[^/]*}", self.answer)
        app.router.add_get(r"/file/bot{token:[^/]*}/{path:.*}", self.file)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, unless a fault has it otherwise."""
        name = request.match_info["method"].lower()
        struck = self._simulator.faults.strike(name)
        if not struck:
            return await self._answer(request, name)
        for fault in struck:
            if fault.kind == faults.SLOW:
                await asyncio.sleep(fault.delay)
        return await self._answer_wrongly(request, name, struck[-1])

    async def file(self, request: web.Request) -> web.Response:
        """Give out a file that getFile has told of."""
        try:
            bot = self._simulator.bot(request.match_info["token"])
        except ApiError as problem:
            return refusal(problem)
        file = self._simulator.files.at(bot.id, request.match_info["path"])
        if file is None:
            return refusal(NOT_FOUND)
        return web.Response(body=file.content, content_type="application/octet-stream")

    async def reply(self, bot: Bot, name: str, parameters: Parameters) -> None:
        """Carry out what a webhook's answer asks for; nobody hears what came of it."""
        method = METHODS.get(name)
        if method is not None and name not in NOT_IN_A_REPLY and not name.startswith("get"):
            try:
                await method(Call(self._simulator, bot, parameters, ("", next(self._numbers))))
            except ApiError:
                return

    async def _answer_wrongly(
        self, request: web.Request, name: str, fault: Fault
    ) -> web.StreamResponse:
        if fault.kind == faults.RESET:
            return connections.reset(request)
        if fault.kind == faults.FLOOD:
            return refusal(FloodError(fault.retry_after))
        if fault.kind == faults.ERROR:
            return refusal(ApiError(fault.code, ERROR_NAMES.get(fault.code, ERROR_NAMES[500])))
        response = await self._answer(request, name)
        if fault.kind == faults.LOST:
            return connections.drop(request)
        if fault.kind == faults.BROKEN:
            return await connections.cut_short(request, response)
        return response

    async def _answer(self, request: web.Request, name: str) -> web.Response:
        try:
            body = await self._carry_out(request, name)
        except ApiError as problem:
            return refusal(problem)
        except StateError:  # the process is about to end because of it
            return refusal(SERVER_ERROR)
        return web.Response(body=body, content_type="application/json")

    async def _carry_out(self, request: web.Request, name: str) -> bytes:
        simulator = self._simulator
        bot = simulator.bot(request.match_info["token"])
        parameters = await read_parameters(request)
        if bot.profile.logged_out_until > simulator.clock.now():
            raise LOGGED_OUT
        name = name or parameters.text("method").lower()
        method = METHODS.get(name)
        if method is None:
            raise self._missing(bot, name)
        try:
            result = await method(Call(simulator, bot, parameters, self._peer(request)))
        finally:
            await simulator.state.settled()
        return result.serialized()

    def _missing(self, bot: Bot, name: str) -> ApiError:
        """Return why there is no such method here, and tell of it where Telegram has it."""
        if name not in KNOWN:
            return UnknownMethodError()
        counts = bot.profile.not_simulated
        counts[name] = counts.get(name, 0) + 1
        bot.changed()
        if counts[name] == 1:
            logs.warning("a method is not simulated", bot=bot.id, method=name)
        self._simulator.tell(type="not_simulated", bot=bot.id, method=name)
        return NotSimulatedError(name)

    def _peer(self, request: web.Request) -> Peer:
        transport = request.transport
        if transport is None:
            return "", next(self._numbers)
        number = self._connections.get(transport)
        if number is None:
            number = self._connections[transport] = next(self._numbers)
        return request.remote or "", number


async def not_found(request: web.Request) -> web.Response:
    """Answer a request for a path that the Bot API does not have."""
    del request
    return refusal(NOT_FOUND)


def refusal(problem: ApiError) -> web.Response:
    """Return the answer that tells of a problem, in the Bot API's shape."""
    about: Json = {"ok": False, "error_code": problem.code, "description": problem.description}
    headers = {}
    if problem.parameters:
        about["parameters"] = problem.parameters
    if problem.retry_after:
        headers["Retry-After"] = str(problem.retry_after)
    return web.Response(
        body=encode(about),
        status=problem.code,
        headers=headers,
        content_type="application/json",
    )
