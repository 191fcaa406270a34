"""The fields of one control request, read strictly: what nobody understands is an error."""

import math
from typing import Any, overload

from aiohttp import web

from telegram_sim.api.errors import UnauthorizedError
from telegram_sim.api.serial import Json, decode
from telegram_sim.world.bots import Bot
from telegram_sim.world.simulator import Simulator

MISSING = object()
JSON = "application/json"
CHANGING = frozenset({"POST", "PUT"})
"""Methods with a body; a browser asks before it sends a DELETE to another origin."""


class RequestError(Exception):
    """A control request makes no sense; its text is the whole message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Fields:
    """Named values of one request; each is read once, and then `finish` finds what is left."""

    def __init__(self, values: Json) -> None:
        self._values = values
        self._read: set[str] = set()

    @classmethod
    async def of(cls, request: web.Request) -> "Fields":
        """Return the fields of a request: its JSON body and its query, and its path's names.

        A request that changes something has to say that it is JSON, which a page of elsewhere
        cannot without being allowed to (Fetch: CORS-safelisted request-header).
        """
        values: Json = {}
        if request.method in CHANGING and request.content_type != JSON:
            raise RequestError(f"Content-Type must be {JSON}, not {request.content_type}", 415)
        body = await _body(request)
        if body:
            try:
                values = decode(body)
            except ValueError as problem:
                raise RequestError(f"the body is no JSON: {problem}") from None
            if not isinstance(values, dict):
                raise RequestError("the body must be a JSON object")
        return cls({**values, **request.query, **request.match_info})

    def finish(self) -> None:
        """Refuse fields that nobody has read."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            known = ", ".join(sorted(self._read))
            raise RequestError(f"unknown field {', '.join(unknown)}; there are: {known}")

    def value(self, name: str, default: Any = MISSING) -> Any:
        """Return a field as it came."""
        self._read.add(name)
        value = self._values.get(name)
        if value is not None:
            return value
        if default is MISSING:
            raise RequestError(f"{name} is missing")
        return default

    def text(self, name: str, default: Any = MISSING) -> str:
        """Return a field that is a text."""
        value = self.value(name, default)
        if not isinstance(value, str):
            raise RequestError(f"{name} must be a text")
        return value

    @overload
    def integer(self, name: str, default: int = ...) -> int: ...

    @overload
    def integer(self, name: str, default: None) -> int | None: ...

    def integer(self, name: str, default: Any = MISSING) -> int | None:
        """Return a field that is a whole number."""
        value = self.value(name, default)
        if value is None:
            return None
        try:
            if isinstance(value, (int, str)) and not isinstance(value, bool):
                return int(value)
        except ValueError:
            pass
        raise RequestError(f"{name} must be a whole number, not {value!r}")

    def number(self, name: str, default: Any = MISSING) -> float:
        """Return a field that is a number."""
        value = self.value(name, default)
        try:
            if isinstance(value, (int, float, str)) and not isinstance(value, bool):
                number = float(value)
                if math.isfinite(number):
                    return number
        except ValueError:
            pass
        raise RequestError(f"{name} must be a number, not {value!r}")

    def flag(self, name: str, *, default: Any = MISSING) -> bool:
        """Return a field that is true or false."""
        value = self.value(name, default)
        if not isinstance(value, bool):
            raise RequestError(f"{name} must be true or false, not {value!r}")
        return value

    def object(self, name: str) -> Json:
        """Return a field that is a JSON object."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise RequestError(f"{name} must be an object")
        return value

    def name_a_bot(self) -> bool:
        """Return whether they say which bot is meant."""
        return bool(self.text("token", "")) or self.integer("bot", None) is not None

    def bot(self, simulator: Simulator) -> Bot:
        """Return the bot that `token` or `bot`, its number, names; else the only one there is."""
        token, number = self.text("token", ""), self.integer("bot", None)
        if number is not None:
            if number not in simulator.bots:
                raise RequestError(f"there is no bot {number}", status=404)
            return simulator.bots[number]
        if token:
            try:
                return simulator.bot(token)
            except UnauthorizedError:
                raise RequestError("token is none that this simulator accepts") from None
        if simulator.settings.tokens:
            return simulator.bot(simulator.settings.tokens[0])
        if len(simulator.bots) == 1:
            return next(iter(simulator.bots.values()))
        state = "no bot has called yet" if not simulator.bots else "there are several bots"
        raise RequestError(f"{state}: name one with token, or start with SIM_TOKENS", status=409)


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as problem:
        raise RequestError(f"the body is too large: {problem.text}", 413) from None
