"""The chat page: a browser as the app of every user at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

from telegram_sim.world.simulator import Simulator

ASSETS = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/chat.js": ("chat.js", "text/javascript"),
}
POLICY = "Content-Security-Policy"
HEADERS = {
    "Cache-Control": "no-cache",
    POLICY: "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors ",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
KEEP_ALIVE = 15.0


class ChatPage:
    """Serves the chat page, and the events that keep it up to date."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        frames = simulator.settings.frames
        self._headers = {**HEADERS, POLICY: HEADERS[POLICY] + (" ".join(frames) or "'none'")}
        if not frames:
            self._headers["X-Frame-Options"] = "DENY"

    def add_to(self, app: web.Application) -> None:
        """Make an application serve the page."""
        for path, (name, kind) in ASSETS.items():
            app.router.add_get(path, _serving(name, kind, self._headers))
        app.router.add_get("/sim/events", self.events)
        app.router.add_get("/sim/files/{id}", self.file)

    async def file(self, request: web.Request) -> web.Response:
        """Give out a file, so that the page can show it."""
        file = self._simulator.files.get(request.match_info["id"])
        if file is None:
            return web.json_response({"ok": False, "error": "there is no such file"}, status=404)
        return web.Response(body=file.content, content_type=file.kind, headers=self._headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send what happens, as server-sent events, until the watcher goes."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        async with self._simulator.feed.watch() as events:
            await response.prepare(request)
            await response.write(b": watching\n\n")
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        event = await events.get()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if event is None:
                    return response
                await response.write(b"data: %s\n\n" % event)


def _serving(
    name: str, kind: str, headers: Mapping[str, str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    body = files(__package__).joinpath(name).read_bytes()
    tag = f'"{sha256(body).hexdigest()[:16]}"'

    async def serve(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={**headers, "ETag": tag})
        return web.Response(
            body=body,
            content_type=kind,
            charset="utf-8",
            headers={**headers, "ETag": tag},
        )

    return serve
