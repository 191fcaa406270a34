"""How a bot gets its updates: by asking, or at a webhook."""

import asyncio
import re
import socket
import ssl
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.parameters import Upload
from telegram_sim.api.serial import Json, decode, encode
from telegram_sim.methods.call import TRUE, Call, Result
from telegram_sim.updates.polling import LONGEST_POLL, MOST_UPDATES
from telegram_sim.updates.webhook import WebhookSettings, verification
from telegram_sim.world.bots import KINDS, UNASKED_KINDS

LONGEST_SECRET = 256
SECRET = re.compile(r"[A-Za-z0-9_-]*")


async def get_updates(call: Call) -> Result:
    """Return updates that wait, and forget those that the offset confirms."""
    parameters, bot = call.parameters, call.bot
    if bot.profile.webhook is not None:
        await bot.polling.refuse()
    choose_kinds(call)
    try:
        updates = await bot.polling.get_updates(
            offset=parameters.clamped("offset", 0, -(2**31), 2**31 - 1),
            limit=parameters.clamped("limit", MOST_UPDATES, 1, MOST_UPDATES),
            wait=parameters.clamped("timeout", 0, 0, LONGEST_POLL),
            peer=call.peer,
        )
    finally:
        bot.changed()
    return Result(b"[%s]" % b",".join(updates))


async def set_webhook(call: Call) -> Result:
    """Send the bot's updates to a URL; an empty one makes the bot poll."""
    if not call.parameters.text("url"):
        return await delete_webhook(call)
    bot, deliveries = call.bot, call.simulator.deliveries
    drop = call.parameters.flag("drop_pending_updates")
    settings = _webhook_settings(call)
    unchanged = settings == bot.profile.webhook and not settings.certificate and not drop
    if not unchanged:
        settings = replace(settings, looked_up=await _look_up(settings))
        bot.polling.stop_waiting()
        await deliveries.set(bot, None)
        if drop:
            bot.updates.keep_last(0)
    choose_kinds(call)
    if unchanged:
        return Result(TRUE.body, "Webhook is already set")
    await deliveries.set(bot, settings)
    return Result(TRUE.body, "Webhook was set")


async def delete_webhook(call: Call) -> Result:
    """Make the bot poll."""
    had_one = call.bot.profile.webhook is not None
    if had_one:
        await call.simulator.deliveries.set(call.bot, None)
    if call.parameters.flag("drop_pending_updates"):
        call.bot.updates.keep_last(0)
        call.bot.changed()
    return Result(TRUE.body, f"Webhook {'was' if had_one else 'is already'} deleted")


async def get_webhook_info(call: Call) -> Result:
    """Return where the bot's updates go and how many wait."""
    bot = call.bot
    settings, webhook = bot.profile.webhook, call.simulator.deliveries.get(bot)
    bot.updates.drop_expired()
    about: Json = {
        "url": settings.url if settings else "",
        "has_custom_certificate": bool(settings and settings.certificate),
        "pending_update_count": len(bot.updates),
    }
    if webhook is not None and webhook.last_error_date:
        about["last_error_date"] = webhook.last_error_date
        about["last_error_message"] = webhook.last_error_message
    if settings is not None:
        about["max_connections"] = settings.max_connections
        about["ip_address"] = settings.ip_address or settings.looked_up or "<unknown>"
    if set(bot.profile.allowed) != UNASKED_KINDS:
        about["allowed_updates"] = list(bot.profile.allowed)
    return Result(encode(about))


def _webhook_settings(call: Call) -> WebhookSettings:
    parameters = call.parameters
    url = parameters.text("url")
    certificate = parameters.file("certificate")
    if isinstance(certificate, Upload):
        certificate = certificate.content.decode("utf-8", "replace")
    settings = WebhookSettings(
        url=url if "://" in url else f"https://{url}",
        max_connections=parameters.clamped("max_connections", 40, 1, 100),
        secret_token=parameters.text("secret_token"),
        ip_address=parameters.text("ip_address"),
        certificate=certificate or "",
    )
    if len(settings.secret_token) > LONGEST_SECRET:
        raise BadRequestError("secret token is too long")
    if not SECRET.fullmatch(settings.secret_token):
        raise BadRequestError("secret token contains unallowed characters")
    return settings


async def _look_up(settings: WebhookSettings) -> str:
    """Return the IP address of a webhook's host, once all else about the webhook makes sense."""
    try:
        parts = urlsplit(settings.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise BadRequestError("invalid webhook URL specified") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadRequestError("invalid webhook URL specified")
    try:
        verification(settings.certificate)
    except ssl.SSLError as problem:
        raise BadRequestError(f"bad webhook: can't use the certificate: {problem}") from None
    try:
        if settings.ip_address:
            return str(ip_address(settings.ip_address))
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except ValueError:
        raise BadRequestError("bad webhook: Invalid IP address specified") from None
    except OSError as problem:
        raise BadRequestError(
            f"bad webhook: Failed to resolve host: {problem.strerror or problem}"
        ) from None
    return str(addresses[0][4][0])


def choose_kinds(call: Call) -> None:
    """Take over the kinds of updates that a call asks for; they hold until another asks.

    What cannot be understood is ignored, and an empty list, or one of unknown kinds only, means
    the usual kinds: Client::get_allowed_update_types.
    """
    text = call.parameters.text("allowed_updates")
    if not text:
        return
    try:
        given = decode(text)
    except ValueError:
        return
    if not isinstance(given, list) or not all(isinstance(kind, str) for kind in given):
        return
    wanted = {kind.lower() for kind in given} & set(KINDS)
    allowed = tuple(sorted(wanted or UNASKED_KINDS))
    if allowed != call.bot.profile.allowed:
        call.bot.profile.allowed = allowed
        call.bot.changed()
