"""Who may use the console, and what a browser may do with its pages.

Sources: OWASP's cheat sheets on sessions, CSRF and content security policy.
"""

import hmac
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from time import time
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse

ConsoleMode = Literal["off", "open", "login"]
"""Not there; there for whoever reaches the port; or there for who knows the token."""

CHAT = r"^(https?://([A-Za-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)?$"
"""The form of the origin that may be shown in a frame; it becomes a part of the policy."""
COOKIE = "herald_console"
SESSION = 12 * 3600
"""Seconds after which one has to log in again."""
SHORTEST = 20
"""Characters that a token has at least."""
TRIES = 5
"""Wrong tokens that one address may try in a minute."""
MINUTE = 60.0
MOST_ADDRESSES = 1000
POLICY = "Content-Security-Policy"
HEADERS = {
    "Cache-Control": "no-store",
    POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RefusedError(Exception):
    """A request that is not answered; `str` is for whoever made it."""

    def __init__(self, why: str, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers


class Entrance:
    """Lets requests in, or raises RefusedError.

    Args:
        token: what a person logs in with; None where everybody who reaches the port is let in.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self._tries: OrderedDict[str, list[float]] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether nobody has to log in."""
        return self._token is None

    def check(self, request: Request) -> str:
        """Return who asks, where they may."""
        self.check_origin(request)
        if self._token is None:
            return self._address(request)
        expiry, _, mark = request.cookies.get(COOKIE, "").partition(".")
        known = hmac.compare_digest(mark.encode(), self._mark(expiry).encode())
        if not known or not expiry.isdecimal() or int(expiry) < time():
            raise RefusedError("log in first", 401)
        return self._address(request)

    def check_origin(self, request: Request) -> None:
        """Refuse what another site's page sends in a person's name."""
        host = request.headers.get("host", "")
        if self._token is None and not _is_local(host):
            raise RefusedError("an open console is reached by an IP address or localhost", 403)
        if request.method in {"GET", "HEAD"}:
            return
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin" if origin else "")
        if (origin and _parts(origin).netloc != host) or site != "same-origin":
            raise RefusedError("this request comes from another site", 403)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise RefusedError("the body must be application/json", 415)

    def log_in(self, request: Request, token: str) -> JSONResponse:
        """Return the answer to somebody who knows the token; each wrong try counts."""
        address = self._address(request)
        tries = [at for at in self._tries.get(address, []) if at > time() - MINUTE]
        if len(tries) >= TRIES:
            again = {"Retry-After": str(int(MINUTE))}
            raise RefusedError("too many wrong tokens; try again in a minute", 429, again)
        if self._token is not None and not _same(token.encode(), self._token):
            self._tries[address] = [*tries, time()]
            self._tries.move_to_end(address)
            while len(self._tries) > MOST_ADDRESSES:
                self._tries.popitem(last=False)
            raise RefusedError("this is not the token", 401)
        answer = JSONResponse({"who": address})
        expiry = str(int(time()) + SESSION)
        self._set(answer, request, f"{expiry}.{self._mark(expiry)}", SESSION)
        return answer

    def log_out(self, request: Request) -> JSONResponse:
        """Return the answer that takes the session away."""
        answer = JSONResponse({})
        self._set(answer, request, "", 0)
        return answer

    def _set(self, answer: JSONResponse, request: Request, value: str, seconds: int) -> None:
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
        answer.set_cookie(
            COOKIE,
            value,
            max_age=seconds,
            path=request.scope.get("root_path") or "/",
            secure=scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def _mark(self, expiry: str) -> str:
        """Return what only who knows the token can write; another token ends every session."""
        return hmac.new(self._token or b"", expiry.encode(), sha256).hexdigest()

    @staticmethod
    def _address(request: Request) -> str:
        return request.client.host if request.client else "unknown"


def _same(given: bytes, token: bytes) -> bool:
    """Compare in constant time, whatever the lengths."""
    return hmac.compare_digest(sha256(given).digest(), sha256(token).digest())


def _parts(address: str) -> SplitResult:
    """Return the parts of an address as a client has written it; none where it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_local(host: str) -> bool:
    """Say whether a Host names this machine by what no foreign name can be pointed at."""
    name = _parts(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or (bool(name) and "." not in name)
    return True
