"""Being brought updates so that none is lost: answered only when what they caused is durable.

The other way of getting updates, `Poller`, asks for them. Here Telegram brings them to a URL, one
of a chat at a time, and again until it is answered 2xx: at once, then when Retry-After says. Only
the holder of the lease takes them, and it is the holder who tells Telegram where to; any other
process answers 503. So the order of a chat holds across processes, as do parking and dialogs, and
without Redis, where nobody can hold the lease, nothing is taken.

Source: core.telegram.org/bots/api#setwebhook, WebhookActor.cpp of
github.com/tdlib/telegram-bot-api.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest

from shared.generated.events import Lease
from shared.process import Backoff
from shared.settings import SettingsError
from shared.telegram.api.answers import has_id, id_by_content
from shared.telegram.api.request import seconds_asked
from shared.telegram.context import Bot
from shared.telegram.settings import BotSettings
from shared.telegram.updates.dispatch import keep
from shared.telegram.updates.hand import Hand
from shared.telegram.updates.kinds import kinds_asked
from shared.telegram.updates.receipts import Receipts
from shared.telegram.updates.standby import Standby
from shared.telegram.updates.state import PollState
from shared.telegram.updates.webhook import SECRET_HEADER, secret_of, set_webhook

log = structlog.get_logger(__name__)

LARGEST_BODY = 1024 * 1024
"""Bytes of an update; a message has 4,096 characters at most, and lists of a few hundred things."""
BODY_WITHIN = 10.0
"""Seconds that the body of a request may take to arrive."""
ANSWER_WITHIN = 40.0
"""Seconds after which Telegram is told to come again; it gives up after 50 to 60 by itself."""
COME_AGAIN = 1
"""Seconds after which Telegram is to bring an update again."""
LOOK = 0.1
"""Seconds between two looks at what takes long enough to be parked."""
ASK_EVERY = 10.0
"""Seconds between two looks at whether Telegram still has the webhook."""
STOP_GRACE = 8.0
"""Seconds that what is in hand gets to become durable when the bot is stopped."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 5.0


class Receiver:
    """Takes updates while it holds the lease, has them handled, and only then says so.

    Args:
        application: whose handlers get them.
        request: what Telegram is asked through.
        state: what health wants to know.
        lease: this process's contender.
        settings: the URL that Telegram is told, and the address that is listened on.
    """

    def __init__(
        self,
        application: Bot[Any],
        request: BaseRequest,
        state: PollState,
        lease: Lease,
        settings: BotSettings,
    ) -> None:
        state.method, state.at_work = "getWebhookInfo", "receiving"
        self.state = state
        self._lease = lease
        self._application = application
        self._request = request
        self._settings = settings
        self._secret = secret_of(application.bot.token).encode()
        self._hand = Hand(application, Receipts)
        self._standby = Standby(lease, state, self._hand)
        self._taking = False
        self._error_date = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Take updates until `stop` is set, finish what is in hand, give the lease back.

        Raises:
            SettingsError: the port cannot be used.
            InvalidToken: Telegram does not know the token; trying again cannot help.
        """
        stopping = asyncio.create_task(stop.wait(), name="wait for stop")
        try:
            async with self._listening():
                try:
                    while not stop.is_set():
                        await self._standby.until_held(stopping)
                        await self._take_while_held(stopping)
                    if not await self._hand.drain(STOP_GRACE):
                        log.warning("stopped with updates unhandled; Telegram will repeat them")
                finally:
                    self._hand.window.let_go()
                    await self._lease.release()
        finally:
            stopping.cancel()
            self.state.active = False

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Listen while the context lasts; what is open at its end is answered."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post(urlsplit(self._settings.webhook_url).path or "/", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=COME_AGAIN)
        await runner.setup()
        host, port = self._settings.webhook_host, self._settings.webhook_port
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                taken = f"WEBHOOK_PORT is {port}, which cannot be used: {error.strerror}"
                raise SettingsError(taken) from None
            yield
        finally:
            await runner.cleanup()

    async def _take_while_held(self, stopping: asyncio.Task[Any]) -> None:
        """Take updates until the lease is lost or the bot is to stop."""
        asking = asyncio.create_task(self._keep_webhook(), name="keep webhook")
        losing = asyncio.create_task(self._lease.lost(), name="lose lease")
        ends = {asking, losing, stopping, self._hand.broken}
        try:
            while self._lease.held and not stopping.done():
                await asyncio.wait(ends, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                self._hand.raise_if_broken()
                if asking.done():
                    asking.result()
                await self._hand.park()
        finally:
            self._taking = False
            asking.cancel()
            losing.cancel()
            await asyncio.gather(asking, losing, return_exceptions=True)
            if not self._lease.held:
                self._hand.window.let_go()

    async def _keep_webhook(self) -> None:
        """Take over what was parked, have updates brought here, and see that it stays so."""
        await self._hand.resume()
        self._taking = True
        backoff = Backoff(FIRST_BACKOFF, LAST_BACKOFF)
        bot, url = self._application.bot, self._settings.webhook_url
        kinds, address = kinds_asked(self._application), self._settings.webhook_ip_address
        request = setting = set_webhook(bot.base_url, bot.token, url, address, kinds)
        while True:
            self.state.asked = monotonic()
            try:
                about = await self._request.post(request)
            except InvalidToken:
                raise
            except TelegramError as error:
                self.state.failed(error)
                asked = seconds_asked(error) if isinstance(error, RetryAfter) else 0.0
                await asyncio.sleep(asked or backoff.next())
                continue
            backoff.reset()
            self.state.worked()
            if request is setting:
                log.info("webhook set", url=url)
            elif not self._is_ours(about):
                log.warning("somebody else has changed the webhook; it is set again")
                request = setting
                continue
            request = f"{bot.base_url}/getWebhookInfo"
            await asyncio.sleep(ASK_EVERY)

    def _is_ours(self, about: Any) -> bool:
        """Whether Telegram brings updates here; what it says of a failure is logged once."""
        if not isinstance(about, dict):
            return True
        date, reason = about.get("last_error_date"), about.get("last_error_message")
        if type(date) is int and date > self._error_date:
            self._error_date = date
            pending = about.get("pending_update_count")
            log.warning("Telegram could not bring an update", reason=reason, pending=pending)
        address = self._settings.webhook_ip_address
        same = about.get("url") == self._settings.webhook_url
        return same and (not address or about.get("ip_address") == address)

    async def _answer(self, request: web.Request) -> web.Response:
        """Answer 200 when what an update has caused is durable, else so that it comes again."""
        shown = request.headers.get(SECRET_HEADER, "").encode("utf-8", "replace")
        if not hmac.compare_digest(shown, self._secret):
            return web.Response(status=HTTPStatus.FORBIDDEN)
        if not self._taking:
            return _come_again()
        try:
            async with asyncio.timeout(BODY_WITHIN):
                update = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        except TimeoutError:
            return web.Response(status=HTTPStatus.REQUEST_TIMEOUT)
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return web.Response() if await self._is_durable(update) else _come_again()
        except TimeoutError:
            return _come_again()

    async def _is_durable(self, update: Any) -> bool:
        """Have an update handled, and return whether what it has caused is durable."""
        if not has_id(update):
            await keep(update, self._hand.event_id(id_by_content(update)), "it has no update_id")
            return True
        if not self._taking or not self._lease.held:
            return False  # it was lost while the body came
        window = self._hand.window
        await self._hand.take(window.take(update))
        done = await window.finished(update["update_id"])
        if done:
            self._application.moments.confirmed(update["update_id"])
        return done


def _come_again() -> web.Response:
    return web.Response(
        status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": str(COME_AGAIN)}
    )
