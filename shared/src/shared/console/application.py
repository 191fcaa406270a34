"""The console as an application of its own, to be mounted in a service's."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from importlib.resources import files
from typing import Annotated

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.console.entrance import HEADERS, POLICY, SHORTEST, ConsoleMode, Entrance, RefusedError
from shared.console.journey import Handled
from shared.console.stack import Server, Stack
from shared.console.views import Views
from shared.dead_letters import STREAMS
from shared.http.server import DRAINING
from shared.process import check_cancelled, describe
from shared.settings import SettingsError
from shared.streams.server.denial import denies
from shared.tail.entries import Content
from shared.tail.follow import EndedError

log = structlog.get_logger(__name__)

PAGE = {
    "": ("index.html", "text/html"),
    **{
        name: (name, "text/css" if name.endswith(".css") else "text/javascript")
        for name in (
            "console.css",
            "console.js",
            "api.js",
            "streams.js",
            "letters.js",
            "journey.js",
            "stack.js",
            "picture.js",
        )
    },
}
MOST_WATCHERS = 20
"""Pages that may be open at a time; each holds a connection to Redis."""
MOST_IDS = 500
RIGHTS = "; name this overlay under `console:` of the service in services.yml"

EntryId = Annotated[str, Field(pattern="^[0-9]{1,20}-[0-9]{1,20}$")]
Answer = Callable[[Request], Awaitable[Response]]


class Login(BaseModel):
    """What a person logs in with."""

    model_config = ConfigDict(frozen=True)

    token: str = Field(max_length=1000)


class Place(BaseModel):
    """An entry of a stream."""

    model_config = ConfigDict(frozen=True)

    stream: str = Field(pattern=f"^({'|'.join(STREAMS)})$")
    id: EntryId


class Decision(BaseModel):
    """What becomes of dead letters."""

    model_config = ConfigDict(frozen=True)

    verb: str = Field(pattern="^(replay|drop)$")
    stream: str = Field(pattern=f"^({'|'.join(STREAMS)})$")
    ids: list[EntryId] = Field(min_length=1, max_length=MOST_IDS)


def console(  # noqa: PLR0913 - each is a setting of its own
    mode: ConsoleMode,
    *,
    redis_url: str,
    token: str = "",
    service: str = "",
    handled: Handled | None = None,
    addresses: str = "",
    chat: str = "",
    server: Server | None = None,
) -> Starlette | None:
    """Return the console's application; None where it is off. It opens nothing by itself.

    Args:
        mode: whether it is there, and for whom.
        redis_url: where the streams are.
        token: what a person logs in with.
        service: which service it belongs to, for its title.
        handled: who has stored an event: an inbox' `Database.handled`.
        addresses: where health checks are, as `NAME=URL` with blanks between; nothing for the
            names that Compose gives.
        chat: the origin of a chat page to be shown beside the console, as CHAT has it.
        server: what the database is: an inbox' `Database.server`.

    Raises:
        SettingsError: there is no token, or a short one, although people have to log in.
    """
    if mode == "off":
        return None
    if mode == "login" and len(token) < SHORTEST:
        raise SettingsError(
            f"CONSOLE_MODE is login: CONSOLE_TOKEN needs {SHORTEST} characters or more"
        )
    entrance = Entrance(token if mode == "login" else None)
    stack = Stack(redis_url, addresses, server)
    return Console(entrance, Views(redis_url, handled, stack.moments), stack, service, chat).app()


class Console:
    """The console's routes."""

    def __init__(
        self, entrance: Entrance, views: Views, stack: Stack, service: str, chat: str
    ) -> None:
        self._entrance, self._views, self._stack = entrance, views, stack
        self._service, self._chat = service, chat
        policy = HEADERS[POLICY] + (f"; frame-src {chat}" if chat else "")
        self._headers = {**HEADERS, POLICY: policy}
        self._watchers = 0

    def app(self) -> Starlette:
        """Return the application."""
        routes = [Route(f"/{path}", self._guarded(_serving(*kind))) for path, kind in PAGE.items()]
        routes += [
            Route("/api/session", self._guarded(self.session)),
            Route("/api/login", self._guarded(self.log_in), methods=["POST"]),
            Route("/api/logout", self._guarded(self.log_out), methods=["POST"]),
            Route("/api/standing", self._guarded(self.standing, known=True)),
            Route("/api/events", self._guarded(self.events, known=True)),
            Route("/api/letters", self._guarded(self.letters, known=True)),
            Route("/api/letters", self._guarded(self.decide, known=True), methods=["POST"]),
            Route("/api/journey", self._guarded(self.journey, known=True)),
            Route("/api/stack", self._guarded(self.stack, known=True)),
            Route("/api/audit", self._guarded(self.audit, known=True)),
        ]
        return Starlette(routes=routes)

    async def session(self, request: Request) -> Response:
        """Say whether somebody has to log in, and whose console it is."""
        try:
            who = self._entrance.check(request)
        except RefusedError:
            who = ""
        chat = self._chat if who else ""
        about = {"open": self._entrance.open, "service": self._service, "chat": chat}
        return JSONResponse({"who": who, **about})

    async def log_in(self, request: Request) -> Response:
        """Let somebody in who knows the token."""
        answer = self._entrance.log_in(
            request, Login.model_validate_json(await request.body()).token
        )
        log.info("console login", who=request.client.host if request.client else "unknown")
        return answer

    async def log_out(self, request: Request) -> Response:
        """End a session in this browser."""
        return self._entrance.log_out(request)

    async def standing(self, _request: Request) -> Response:
        """Say how the streams stand."""
        return JSONResponse(await self._views.standing())

    async def letters(self, _request: Request) -> Response:
        """Show the dead letters."""
        return JSONResponse(await self._views.letters())

    async def journey(self, request: Request) -> Response:
        """Show the way of one event."""
        place = Place.model_validate(dict(request.query_params))
        return JSONResponse(await self._views.journey(place.stream, place.id))

    async def stack(self, _request: Request) -> Response:
        """Show how the stack is."""
        return JSONResponse(await self._stack.look())

    async def audit(self, _request: Request) -> Response:
        """Show what was decided here since this process began."""
        return JSONResponse({"audit": list(self._views.audit)})

    async def decide(self, request: Request) -> Response:
        """Replay or drop dead letters."""
        decision = Decision.model_validate_json(await request.body())
        who = self._entrance.check(request)
        return JSONResponse(
            await self._views.decide(decision.verb, decision.stream, decision.ids, who)
        )

    async def events(self, request: Request) -> Response:
        """Send what happens, as server-sent events."""
        if self._watchers >= MOST_WATCHERS:
            raise RefusedError(f"{MOST_WATCHERS} pages are open; close one", 503)
        draining = request.scope.get(DRAINING)
        return StreamingResponse(self._sent(draining), media_type="text/event-stream")

    async def _sent(self, draining: asyncio.Event | None) -> AsyncGenerator[bytes]:
        self._watchers += 1
        try:
            async with aclosing(self._views.follow()) as happening:
                async for message in happening:
                    if draining is not None and draining.is_set():
                        return
                    yield _event(message)
                    check_cancelled()
        except EndedError as error:
            yield _event({"notice": f"{error}{RIGHTS}"})
        except (RedisError, OSError) as error:
            yield _event({"notice": f"Redis does not answer ({type(error).__name__})"})
        finally:
            self._watchers -= 1

    def _guarded(self, answer: Answer, *, known: bool = False) -> Answer:
        """Return an answer with the headers of all; `known` where nobody else may ask."""

        async def guarded(request: Request) -> Response:
            try:
                check = self._entrance.check if known else self._entrance.check_origin
                check(request)
                response = await answer(request)
            except RefusedError as refused:
                response = JSONResponse({"error": str(refused)}, refused.status, refused.headers)
            except ValidationError:
                response = JSONResponse({"error": "the body is not what is asked for"}, 422)
            except (RedisError, OSError) as error:
                denied = isinstance(error, RedisError) and denies(error)
                response = JSONResponse(
                    {"error": describe(error) + (RIGHTS if denied else "")}, 403 if denied else 503
                )
            response.headers.update(self._headers)
            return response

        return guarded


def _event(message: Content) -> bytes:
    return f"data: {json.dumps(message)}\n\n".encode()


def _serving(name: str, kind: str) -> Answer:
    body = files(__package__).joinpath("page", name).read_bytes()

    async def serve(request: Request) -> Response:
        if name == "index.html" and not request.url.path.endswith("/"):
            return RedirectResponse(f"{request.url.path}/", 307)
        return Response(body, media_type=f"{kind}; charset=utf-8")

    return serve
