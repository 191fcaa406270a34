"""Requests to the Bot API through aiohttp: several times the rate of python-telegram-bot's own.

Source of the interface: docs.python-telegram-bot.org, telegram.request.BaseRequest.
"""

from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from telegram.error import NetworkError, RetryAfter, TimedOut
from telegram.request import BaseRequest, RequestData

from shared.telegram.api.answers import Answer, parse_answer, status_of

READ_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


class AiohttpRequest(BaseRequest):
    """One pool of connections to the Bot API.

    Args:
        connections: how many requests run at the same time; more of them wait.
        read_timeout: seconds without data after which a request has timed out.
    """

    __slots__ = ("_connections", "_proxies", "_read_timeout", "_session")

    def __init__(self, connections: int, read_timeout: float = READ_TIMEOUT) -> None:
        self._connections = connections
        self._read_timeout = read_timeout
        self._proxies: dict[str, str | None] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        """Return the default read timeout in seconds."""
        return self._read_timeout

    async def initialize(self) -> None:
        """Make the session; no connection is opened yet."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(connector=connector)

    async def shutdown(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(  # noqa: PLR0913, PLR0917 — the signature is python-telegram-bot's
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Make one request and return its status and body.

        Raises:
            TimedOut: there was no answer in time.
            NetworkError: the connection failed; the message holds no URL, which holds the token.
        """
        del write_timeout, pool_timeout
        if self._session is None:
            raise RuntimeError("the request was not initialized")
        timeout = aiohttp.ClientTimeout(
            sock_read=_given(read_timeout, self._read_timeout),
            sock_connect=_given(connect_timeout, CONNECT_TIMEOUT),
        )
        body, proxy = _body(request_data), self._proxy(url)
        headers = URLENCODED if isinstance(body, bytes) else None
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, proxy=proxy
            ) as response:
                answer = await response.read()
                return status_of(response.status, answer), answer
        except TimeoutError as error:
            raise TimedOut from error
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(f"{type(error).__name__} at the Bot API") from error

    @staticmethod
    def parse_json_payload(payload: bytes) -> Answer:
        """Return what can be used of an answer; never raises, and logs nothing of it."""
        return parse_answer(payload)

    def _proxy(self, url: str) -> str | None:
        """Return the proxy that the environment names for a URL's server; looked up once.

        aiohttp's own `trust_env` looks it up in a thread, at every request.
        """
        scheme, server, *_ = urlsplit(url)
        if server not in self._proxies:
            bypassed = proxy_bypass(server)
            self._proxies[server] = None if bypassed else getproxies().get(scheme)
        return self._proxies[server]


def seconds_asked(error: RetryAfter) -> float:
    """Return how long Telegram asks to wait, in seconds."""
    after = error.retry_after
    return float(after) if isinstance(after, int) else after.total_seconds()


def _given(value: Any, default: float) -> float | None:
    """Return a timeout that the caller gave, or the default where none was given."""
    return default if value is BaseRequest.DEFAULT_NONE else value


def _body(data: RequestData | None) -> aiohttp.FormData | bytes | None:
    """Return the form that a request sends; files make it a multipart one."""
    if data is None:
        return None
    if not data.contains_files:
        return urlencode(data.json_parameters).encode()  # aiohttp takes twice as long for it
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, mime) in (data.multipart_data or {}).items():
        form.add_field(name, content, filename=filename, content_type=mime)
    return form
