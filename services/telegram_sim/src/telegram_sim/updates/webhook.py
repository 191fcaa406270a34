"""Webhooks: the rules of WebhookActor in tdlib/telegram-bot-api.

Updates of one chat are sent one after the other, those of different chats side by side. Any 2xx
confirms an update. What fails is sent again at once, then after 2, 4, 8 … seconds, up to one or
two minutes, or when Retry-After says, until the update's time is over. A URL that answers 410 for
23 hours is given up. Like a server started with --local, this one also sends to http://, to any
port and to any address.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from telegram_sim import logs
from telegram_sim.api.parameters import Parameters, as_parameters
from telegram_sim.api.serial import decode
from telegram_sim.clock import Clock
from telegram_sim.updates.queue import Update, UpdateQueue

LONGEST_PAUSE = 60
LONGEST_RETRY_AFTER = 3600
GONE, GIVE_UP_AFTER = 410, 23 * 3600
ANSWER_WITHIN = 50.0
LOADED_FOR_EACH_CONNECTION = 2
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name, no secret

Replies = Callable[[str, Parameters], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What setWebhook was told.

    Attributes:
        ip_address: Where the host is, whatever its name says; empty to look the name up.
        looked_up: Where the host was when the webhook was set; part of no comparison.
    """

    url: str
    max_connections: int = 40
    secret_token: str = ""
    ip_address: str = ""
    certificate: str = ""
    looked_up: str = field(default="", compare=False)


class Receiver(Protocol):
    """A bot, as far as its updates are sent."""

    id: int
    updates: UpdateQueue

    def changed(self) -> None:
        """Record that an update has left the queue."""


@dataclass(slots=True)
class _Sending:
    """An update that is to be sent, and how often that failed."""

    update: Update
    due: float
    pause: int = 1
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an update was not taken."""

    reason: str
    status: int = 0
    retry_after: int = 0


class Webhook:
    """Sends the updates of one bot to one URL.

    Args:
        bot: Whose updates are sent.
        settings: Where to.
        clock: The time that pauses are counted in.
        replies: Called with the method that an answer asks for, and its parameters.
        on_gone: Called when the URL is given up.

    Attributes:
        last_error_date: Unix second of the last failure; 0 before the first.
        last_error_message: What it was.
    """

    def __init__(
        self,
        bot: Receiver,
        settings: WebhookSettings,
        *,
        clock: Clock,
        replies: Replies,
        on_gone: Callable[[], None],
    ) -> None:
        self._bot = bot
        self._settings = settings
        self._clock = clock
        self._session = _session(settings)
        self._replies = replies
        self._on_gone = on_gone
        self._queues: dict[str, deque[_Sending]] = {}
        self._next_offset = 0
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._stirred = asyncio.Event()
        self._gone_since: float | None = None
        self.last_error_date = 0
        self.last_error_message = ""
        self._task = asyncio.create_task(self._run())

    def arrived(self) -> None:
        """Tell it that there is an update."""
        self._stirred.set()

    async def stop(self) -> None:
        """Send nothing any more."""
        running = [self._task, *self._in_flight.values()]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._session.close()

    async def _run(self) -> None:
        while True:
            self._stirred.clear()
            self._load()
            next_due = self._start_due()
            timer = None if next_due is None else self._clock.at(next_due, self._stirred.set)
            try:
                await self._stirred.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _load(self) -> None:
        """Take as many updates in hand as may be in hand at once."""
        most = LOADED_FOR_EACH_CONNECTION * self._settings.max_connections
        room = most - sum(len(queue) for queue in self._queues.values())
        if room <= 0:
            return
        now = self._clock.monotonic()
        for update in self._bot.updates.read(room, self._next_offset):
            self._next_offset = update.id + 1
            self._queues.setdefault(update.queue, deque()).append(_Sending(update, due=now))

    def _start_due(self) -> float | None:
        """Send what is due; return the moment at which the next is, if any waits for one."""
        now = self._clock.monotonic()
        next_due: float | None = None
        ready = [(queue[0].due, name) for name, queue in self._queues.items()]
        for due, name in sorted(ready):
            if name in self._in_flight:
                continue
            if due > now:
                next_due = due
                break
            if len(self._in_flight) >= self._settings.max_connections:
                break
            self._in_flight[name] = asyncio.create_task(self._send(name))
        return next_due

    async def _send(self, name: str) -> None:
        queue = self._queues[name]
        sending = queue[0]
        failure = await self._post(sending.update)
        if failure is None or not self._postpone(sending, failure):
            self._bot.updates.forget(sending.update.id)
            self._bot.changed()
            queue.popleft()
            if not queue:
                del self._queues[name]
        del self._in_flight[name]
        self._stirred.set()

    async def _post(self, update: Update) -> _Failure | None:
        headers = {"Content-Type": "application/json"}
        if self._settings.secret_token:
            headers[SECRET_HEADER] = self._settings.secret_token
        try:
            async with self._session.post(
                self._settings.url,
                data=update.serialized(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN),
                allow_redirects=False,
            ) as response:
                body = await response.read()
                failure = self._judge(response)
        except TimeoutError:
            return self._failed(_Failure("Read timeout expired"))
        except aiohttp.ClientConnectorError as problem:
            return self._failed(_Failure(os.strerror(problem.os_error.errno or errno.ECONNREFUSED)))
        except (aiohttp.ClientError, OSError, ValueError):
            return self._failed(_Failure("Webhook connection closed"))
        if failure is not None:
            return self._failed(failure)
        await self._carry_out(body)
        return None

    def _judge(self, response: aiohttp.ClientResponse) -> _Failure | None:
        status = response.status
        if status // 100 == 2:  # noqa: PLR2004 - any 2xx, as HTTP counts
            self._gone_since = None
            return None
        if status != GONE:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = self._clock.monotonic()
        elif self._clock.monotonic() > self._gone_since + GIVE_UP_AFTER:
            logs.warning("webhook given up: 410 for 23 hours", bot=self._bot.id)
            self._on_gone()
        wanted = response.headers.get("Retry-After", "")
        return _Failure(
            f"Wrong response from the webhook: {status} {response.reason or ''}".rstrip(),
            status,
            min(int(wanted), LONGEST_RETRY_AFTER) if wanted.isdecimal() else 0,
        )

    def _failed(self, failure: _Failure) -> _Failure:
        self.last_error_date = self._clock.date()
        self.last_error_message = failure.reason
        return failure

    def _postpone(self, sending: _Sending, failure: _Failure) -> bool:
        """Plan the next try of an update; return whether there is one."""
        pause = failure.retry_after
        if not pause and sending.failures:
            longest = LONGEST_PAUSE + secrets.randbelow(LONGEST_PAUSE + 1)
            pause = sending.pause = min(longest, sending.pause * 2)
        if self._clock.now() + pause > sending.update.expires:
            return False
        sending.failures += 1
        sending.due = self._clock.monotonic() + pause
        return True

    async def _carry_out(self, body: bytes) -> None:
        """Carry out the method that an answer may ask for."""
        try:
            asked = decode(body) if body else {}
        except ValueError:
            return
        if isinstance(asked, dict) and isinstance(asked.get("method"), str):
            await self._replies(asked["method"].lower(), Parameters(as_parameters(asked)))


def verification(certificate: str) -> ssl.SSLContext | bool:
    """Return how a server is verified: by its own certificate where setWebhook gave one.

    Raises:
        ssl.SSLError: The certificate makes no sense.
    """
    return ssl.create_default_context(cadata=certificate) if certificate else True


def _session(settings: WebhookSettings) -> aiohttp.ClientSession:
    resolver = _OneAddress(settings.ip_address) if settings.ip_address else None
    connector = aiohttp.TCPConnector(
        limit=0,  # what is in flight is bounded by max_connections already
        resolver=resolver,
        ssl=verification(settings.certificate),
    )
    return aiohttp.ClientSession(connector=connector)


class _OneAddress(AbstractResolver):
    """Finds every host at the address that setWebhook gave."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Let go of nothing."""
