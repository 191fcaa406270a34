"""Keeps web pages of elsewhere from driving the simulator through somebody's browser.

A page can send a request across origins without asking first (a form, an image, a link, a POST of
text/plain), and it can have its own name lead to this machine (DNS rebinding). The browser tells of
the first in `Origin` and `Sec-Fetch-Site` (Fetch, Fetch Metadata) and of the second in `Host`,
which has the page's name. Programs send no `Origin` and reach the simulator under its address or a
name that it knows, so nothing changes for them. Pages of chosen origins may use the Bot API, and
are told so in the headers of api.telegram.org (Fetch, CORS protocol).
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

from aiohttp import web

from telegram_sim.api.errors import ForbiddenError
from telegram_sim.control import CONTROL, refused
from telegram_sim.server.bot_api import refusal

PAGE = "/"
BOT_API = ("/bot", "/file/bot")
ALLOWANCE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Expose-Headers": "Content-Length,Content-Type,Date,Server,Connection",
}
LOOPBACK_NAME = "localhost"
AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^\s:/?#@\[\]]+))(?::[0-9]*)?")
OWN_SITE = frozenset({"", "same-origin", "none"})  # none: the person typed the address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Origins:
    """Tells the requests of foreign pages from all others.

    Args:
        names: The names that the simulator is served under, besides localhost and IP addresses.
        welcome: Origins whose pages may use the Bot API; `*` for every one.
    """

    def __init__(self, names: Iterable[str], welcome: Iterable[str]) -> None:
        self._welcome = frozenset(origin.lower().rstrip("/") for origin in welcome)
        self._names = frozenset(name.lower() for name in names) | {LOOPBACK_NAME}

    @web.middleware
    async def refuse_foreign(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a foreign page's request with 403 in the shape of the API that it meant."""
        if self._is_welcome(request):
            asks_first = request.method == "OPTIONS"
            response = web.Response(status=204) if asks_first else await handler(request)
            response.headers.update(ALLOWANCE)
            return response
        reason = self.objection(request)
        if reason is None:
            return await handler(request)
        if request.path.startswith(CONTROL):
            return refused(reason, 403)
        return refusal(ForbiddenError(reason))

    def objection(self, request: web.Request) -> str | None:
        """Return what marks a request as a foreign page's; None where nothing does."""
        host = request.headers.get("Host", "").lower()
        if host and not self._serves(host):
            return f"this simulator is not served as {host}; name it in SIM_NAMES"
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
            return f"a page of {origin} may not use this simulator"
        site = request.headers.get("Sec-Fetch-Site", "")
        if site not in OWN_SITE and request.path != PAGE:
            return "a page of another origin may not use this simulator"
        return None

    def _is_welcome(self, request: web.Request) -> bool:
        """Say whether this is a chosen origin's request to the Bot API."""
        origin = request.headers.get("Origin", "").lower()
        if not origin or not request.path.startswith(BOT_API) or not {origin, "*"} & self._welcome:
            return False
        return self._serves(request.headers.get("Host", "").lower())

    def _serves(self, host: str) -> bool:
        """Say whether a Host is ours: a page of elsewhere has a name, never a mere address."""
        parts = AUTHORITY.fullmatch(host)
        if parts is None:
            return False
        name = (parts["six"] or parts["name"]).removesuffix(".")
        return name in self._names or name.endswith(f".{LOOPBACK_NAME}") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
