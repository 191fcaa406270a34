"""The control API over HTTP: /sim/…, JSON in and out.

Every answer is `{"ok": true, "result": …}` or `{"ok": false, "error": "…"}` with a status of 400,
404, 409, 413 or 415. A request that changes something is answered when the change is on the disk.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from telegram_sim.api.serial import Json, encode
from telegram_sim.control.chats import ChatRequests
from telegram_sim.control.fields import Fields, RequestError
from telegram_sim.control.machine import MachineRequests
from telegram_sim.control.routes import Handler
from telegram_sim.state import StateError
from telegram_sim.world.people import PeopleError
from telegram_sim.world.simulator import Simulator

CONTROL = "/sim/"
"""How the path of every control request begins."""


class ControlApi:
    """Answers every control request."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def add_to(self, app: web.Application) -> None:
        """Make an application answer control requests."""
        for requests in (ChatRequests(self._simulator), MachineRequests(self._simulator)):
            for method, path, handler in requests.routes():
                app.router.add_route(method, path, self._answering(handler))

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                body: Json = {"ok": True, "result": await handler(await Fields.of(request))}
                response = _json(body, 200)
            except (RequestError, PeopleError) as problem:
                status = problem.status if isinstance(problem, RequestError) else 400
                response = refused(str(problem), status)
            try:
                await self._simulator.state.settled()
            except StateError as problem:  # the process is about to end because of it
                return refused(str(problem), 500)
            return response

        return answer


def refused(error: str, status: int) -> web.Response:
    """Return the answer that says why a control request was not carried out."""
    return _json({"ok": False, "error": error}, status)


def _json(body: Json, status: int) -> web.Response:
    return web.Response(body=encode(body), status=status, content_type="application/json")
