"""What a bot asks of Telegram about its webhook; pending updates are never dropped.

The secret with which Telegram shows that it is Telegram is derived from the token: both know that
one, so every bot of the token has the same secret and nobody has to keep it.
Source: core.telegram.org/bots/api#setwebhook.
"""

import hmac
import json
from collections.abc import Sequence
from urllib.parse import urlencode

from telegram.error import Conflict, TelegramError

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 — the header's name
CONNECTIONS = 100
"""Updates that Telegram has under way at a time, which is the most it can; one in a chat."""


def secret_of(token: str) -> str:
    """Return what Telegram sends along with every update of the bot with this token."""
    return hmac.digest(token.encode(), b"telegram webhook", "sha256").hex()


def set_webhook(base_url: str, token: str, url: str, ip_address: str, kinds: Sequence[str]) -> str:
    """Return the request that has updates brought to `url`.

    Args:
        base_url: of the Bot API, with the token.
        token: of the bot.
        url: where updates are to be brought.
        ip_address: where its host is; empty has Telegram look it up, once in half an hour.
        kinds: the kinds of updates that are to be brought.
    """
    parameters = {
        "url": url,
        "secret_token": secret_of(token),
        "max_connections": CONNECTIONS,
        "allowed_updates": json.dumps(kinds),
        "drop_pending_updates": "false",
        **({"ip_address": ip_address} if ip_address else {}),
    }
    return f"{base_url}/setWebhook?{urlencode(parameters)}"


def delete_webhook(base_url: str) -> str:
    """Return the request after which getUpdates gives what is pending."""
    return f"{base_url}/deleteWebhook?drop_pending_updates=false"


def is_of_webhook(error: TelegramError) -> bool:
    """Whether a getUpdates was refused because the bot has a webhook."""
    return isinstance(error, Conflict) and "webhook" in error.message.lower()
