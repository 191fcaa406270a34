"""Keyboards: what a bot may put under a message, read as the Bot API reads it."""

from typing import Any

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.parameters import Parameters
from telegram_sim.api.serial import Json

LONGEST_CALLBACK_DATA = 64
NOTHING: Json = {}


def read_markup(parameters: Parameters) -> tuple[Json | None, Json]:
    """Return the keyboard that a call asks for.

    Returns:
        The inline keyboard, which is part of the message, or None; and the keyboard in place of
        the user's own, which the Bot API does not give back, or an empty object.

    Raises:
        BadRequestError: It makes no sense.
    """
    given = parameters.json("reply_markup", "reply keyboard markup")
    if given is None or given == {}:
        return None, NOTHING
    if not isinstance(given, dict):
        raise BadRequestError("object expected as reply markup")
    if "inline_keyboard" in given:
        rows = _rows(given["inline_keyboard"], "inline_keyboard")
        keyboard = [[_inline_button(button) for button in row] for row in rows if row]
        return ({"inline_keyboard": keyboard} if keyboard else None), NOTHING
    if "keyboard" in given:
        rows = _rows(given["keyboard"], "keyboard")
        keyboard = [[_button(button) for button in row] for row in rows if row]
        return None, {**given, "keyboard": keyboard}
    return None, given


def _rows(given: Any, name: str) -> list[list[Any]]:
    if not isinstance(given, list) or not all(isinstance(row, list) for row in given):
        of = " of InlineKeyboardButton" if name == "inline_keyboard" else ""
        raise BadRequestError(f'field "{name}" must be an Array of Arrays{of}')
    return given


def _button(given: Any) -> Json:
    if isinstance(given, str):
        return {"text": given}
    if not isinstance(given, dict):
        raise BadRequestError("can't parse keyboard button: KeyboardButton must be an Object")
    if not isinstance(given.get("text"), str):
        raise BadRequestError("can't parse keyboard button: Can't find field \"text\"")
    return given


def _inline_button(given: Any) -> Json:
    unparsed = "can't parse inline keyboard button: "
    if not isinstance(given, dict):
        raise BadRequestError(f"{unparsed}InlineKeyboardButton must be an Object")
    if not isinstance(given.get("text"), str):
        raise BadRequestError(f'{unparsed}Can\'t find field "text"')
    if set(given) <= {"text", "style", "icon_custom_emoji_id"}:
        raise BadRequestError(f"{unparsed}Text buttons are unallowed in the inline keyboard")
    data = given.get("callback_data")
    if data is not None and not (
        isinstance(data, str) and 1 <= len(data.encode("utf-8", "replace")) <= LONGEST_CALLBACK_DATA
    ):
        raise BadRequestError("BUTTON_DATA_INVALID")
    return given
