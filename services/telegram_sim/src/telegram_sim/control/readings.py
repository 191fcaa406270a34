"""What control requests ask for, read from their fields."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from telegram_sim.api.serial import Json
from telegram_sim.clock import Clock
from telegram_sim.control.fields import MISSING, Fields, RequestError
from telegram_sim.methods import METHODS
from telegram_sim.world.chats import CHAT_TYPES
from telegram_sim.world.faults import EVERY_METHOD, KINDS, Fault
from telegram_sim.world.limits import LimitSettings
from telegram_sim.world.people import Writing

DEFAULT_USER = 1001
USER_FIELDS = ("id", "first_name", "last_name", "username", "language_code", "is_premium")
CHAT_FIELDS = ("id", "type", "title", "username")
MOST_WRITINGS = 100_000


def read_writing(fields: Fields) -> Writing:
    """Return the one thing that a request asks to be written."""
    entities = fields.value("entities", None)
    if entities is not None and not isinstance(entities, list):
        raise RequestError("entities must be an array of MessageEntity")
    photo = fields.text("photo", None) if fields.value("photo", None) is not None else None
    return Writing(
        text=fields.text("text", "" if photo is not None else MISSING),
        user=read_user(fields),
        chat=_chat(fields.value("chat", None)),
        date=fields.integer("date", None),
        entities=entities,
        reply_to=fields.integer("reply_to", 0),
        photo=None if photo is None else _content(photo),
    )


def _content(text: str) -> bytes:
    """Return what a text holds in Base64."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise RequestError("photo must be the content of a file in Base64") from None


def read_fault(fields: Fields, clock: Clock) -> Fault:
    """Return the fault that a request describes."""
    kind = fields.text("kind")
    if kind not in KINDS:
        raise RequestError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    method = fields.text("method", EVERY_METHOD).lower()
    if method != EVERY_METHOD and method not in METHODS:
        raise RequestError(f"method must be * or one that the simulator has, not {method!r}")
    seconds = fields.value("seconds", None)
    fault = Fault(
        id=0,
        method=method,
        kind=kind,
        count=fields.integer("count", None),
        probability=fields.number("probability", 1.0),
        until=None if seconds is None else clock.now() + fields.number("seconds"),
        retry_after=fields.integer("retry_after", 1),
        code=fields.integer("code", 500),
        delay=fields.number("delay", 1.0),
        seed=fields.integer("seed", 0),
    )
    for name, proper in (
        ("count must be at least 1", fault.count is None or fault.count >= 1),
        ("probability must be more than 0 and at most 1", 0 < fault.probability <= 1),
        ("seconds must be more than 0", fault.until is None or fault.until > clock.now()),
        ("retry_after must be at least 1", fault.retry_after >= 1),
        ("code must be from 500 to 599", 500 <= fault.code <= 599),  # noqa: PLR2004 - HTTP's 5xx
        ("delay must not be negative", fault.delay >= 0),
    ):
        if not proper:
            raise RequestError(name)
    return fault


def read_limits(fields: Fields, present: LimitSettings) -> LimitSettings:
    """Return the limits that a request describes; what it does not name stays."""
    limits = LimitSettings(
        enabled=fields.flag("enabled", default=present.enabled),
        chat_per_second=fields.number("chat_per_second", present.chat_per_second),
        chat_burst=fields.integer("chat_burst", present.chat_burst),
        group_per_minute=fields.integer("group_per_minute", present.group_per_minute),
        all_per_second=fields.integer("all_per_second", present.all_per_second),
    )
    least = min(limits.chat_burst, limits.group_per_minute, limits.all_per_second)
    if limits.chat_per_second <= 0 or least < 1:
        raise RequestError("every limit must be more than 0; enabled: false turns them off")
    return limits


def read_writings(fields: Fields) -> list[Writing]:
    """Return the many things that a request asks to be written.

    Either `writings`, a list of what `write` takes, or `text` with `count`, `users` and
    `first_user`: the text is written so often, by the users in turn, and {n} in it is counted up.
    """
    listed = fields.value("writings", None)
    if listed is None:
        return list(_repeated(fields))
    if not isinstance(listed, list):
        raise RequestError("writings must be an array")
    _check_count(len(listed))
    writings = []
    for place, given in enumerate(listed):
        if not isinstance(given, dict):
            raise RequestError(f"writings[{place}] must be an object")
        described = Fields(given)
        try:
            writings.append(read_writing(described))
            described.finish()
        except RequestError as problem:
            raise RequestError(f"writings[{place}]: {problem}") from None
    return writings


def _repeated(fields: Fields) -> Iterator[Writing]:
    text, count = fields.text("text"), fields.integer("count")
    users, first = fields.integer("users", 1), fields.integer("first_user", DEFAULT_USER)
    start = fields.integer("start", 0)
    date = fields.integer("date", None)
    _check_count(count)
    if users < 1:
        raise RequestError("users must be at least 1")
    for n in range(count):
        user = {"id": first + n % users}
        yield Writing(text.replace("{n}", str(start + n)), user=user, date=date)


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_WRITINGS:
        raise RequestError(f"there must be 1 to {MOST_WRITINGS} writings, not {count}")


def read_user(fields: Fields, default: int | None = DEFAULT_USER) -> Json:
    """Return the person that a request names."""
    given = fields.value("user", MISSING if default is None else default)
    user = _identified("user", given, USER_FIELDS)
    if user["id"] <= 0:
        raise RequestError("user must have a positive id")
    return user


def _chat(given: Any) -> Json | None:
    if given is None:
        return None
    chat = _identified("chat", given, CHAT_FIELDS)
    if chat.get("type", CHAT_TYPES[0]) not in CHAT_TYPES:
        raise RequestError(f"chat.type must be one of {', '.join(CHAT_TYPES)}")
    return chat


def _identified(name: str, given: Any, known: tuple[str, ...]) -> Json:
    """Return an object that has an id, given as such or as its id alone."""
    if isinstance(given, str) and given.lstrip("-").isdigit():
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        return {"id": given}
    if not isinstance(given, dict):
        raise RequestError(f"{name} must be a number or an object with an id")
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RequestError(
            f"{name} has unknown {', '.join(unknown)}; it may have {', '.join(known)}"
        )
    if not isinstance(given.get("id"), int) or isinstance(given["id"], bool):
        raise RequestError(f"{name} must have an id that is a whole number")
    return given
