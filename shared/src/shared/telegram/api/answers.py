"""What the Bot API answers, looked at before python-telegram-bot takes it for what it should be.

What is between the bot and Telegram (a proxy, a captive portal, a connection that is cut) can
answer 200 with anything at all. Such an answer is a `TelegramError` like any other failure: it is
waited out. None of it is logged: it can hold what people wrote, and python-telegram-bot's own
parser logs an answer whole where it is no JSON.

Source: core.telegram.org/bots/api#making-requests.
"""

import hashlib
import json
from typing import Any, NoReturn

from telegram import User
from telegram.error import TelegramError

LONGEST_PAUSE = 3600
"""Seconds; a longer `retry_after` is not waited for in one piece."""
LARGEST_UPDATE_ID = 2**31 - 2
"""The one after it has to be a signed 32-bit number too."""
CLIENT_ERROR, SERVER_ERROR, NOT_IMPLEMENTED, BAD_GATEWAY = 400, 500, 501, 502
KNOWN = frozenset((400, 401, 403, 404, 409, 429))
"""Client errors that python-telegram-bot knows apart."""


class Answer(dict[str, Any]):
    """The fields of an answer that are as they should be; `result` is among them or raises."""

    def __missing__(self, key: str) -> NoReturn:
        raise TelegramError(f"the answer is none of the Bot API: it has no {key}")


def parse_answer(body: bytes) -> Answer:
    """Return what can be used of an answer's body; an empty answer where nothing can."""
    try:
        fields = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return Answer()
    if not isinstance(fields, dict):
        return Answer()
    if fields.get("ok") is True:
        return Answer(result=fields["result"]) if "result" in fields else Answer()
    answer, parameters = Answer(), fields.get("parameters")
    if isinstance(description := fields.get("description"), str):
        answer["description"] = description
    if isinstance(parameters, dict):
        answer["parameters"] = _parameters(parameters)
    return answer


def status_of(status: int, body: bytes) -> int:
    """Return an answer's status; that of an error page which is not the Bot API's is a 502.

    A 401 or 404 of the Bot API means that the token is wrong; one of a proxy means nothing. What
    python-telegram-bot would take for a fault that passes, and is none, is a 400: a method that the
    server does not have (501), a body that is too large (413), and the like.
    """
    if status >= CLIENT_ERROR and not body.lstrip().startswith(b"{"):
        return BAD_GATEWAY
    if status == NOT_IMPLEMENTED or (CLIENT_ERROR <= status < SERVER_ERROR and status not in KNOWN):
        return CLIENT_ERROR
    return status


def split_updates(result: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return the updates of a getUpdates, and what among them has no id to be confirmed by.

    Raises:
        TelegramError: it is no list.
    """
    if not isinstance(result, list):
        raise TelegramError("getUpdates answered with something other than a list")
    numbered = [update for update in result if has_id(update)]
    return numbered, [update for update in result if not has_id(update)]


def has_id(update: Any) -> bool:
    """Say whether an update can be confirmed: ids are positive signed 32-bit numbers.

    A negative offset would make Telegram forget what nobody has seen.
    """
    number = update.get("update_id") if isinstance(update, dict) else None
    return type(number) is int and 0 < number <= LARGEST_UPDATE_ID


def id_by_content(update: Any) -> str:
    """Return what identifies an update that has no id; the same for the same content."""
    text = json.dumps(update, sort_keys=True)
    return f"odd-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def check_identity(me: User, token: str) -> None:
    """Raise TelegramError unless getMe has named the bot whose token it was asked with."""
    named = type(me.id) is int and str(me.id) == token.partition(":")[0]
    if not named or not isinstance(me.username, str):
        raise TelegramError("getMe does not say which bot the token belongs to")


def _parameters(given: dict[str, Any]) -> dict[str, int]:
    """Return the parameters of an error that are numbers, a pause within its bounds."""
    numbers = {name: value for name, value in given.items() if type(value) is int}
    parameters = {}
    if (chat := numbers.get("migrate_to_chat_id")) is not None:
        parameters["migrate_to_chat_id"] = chat
    if (pause := numbers.get("retry_after")) is not None:
        parameters["retry_after"] = min(max(pause, 1), LONGEST_PAUSE)
    return parameters
