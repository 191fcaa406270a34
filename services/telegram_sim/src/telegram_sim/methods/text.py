"""The text or the caption of a message that a bot sends, with its entities."""

from typing import Any

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.parameters import Parameters
from telegram_sim.api.serial import Json
from telegram_sim.formatting import Formatted, parse_html, parse_markdown, parse_markdown_v2
from telegram_sim.formatting.entities import (
    LONGEST_CAPTION,
    LONGEST_MESSAGE,
    Entity,
    find_entities,
    is_empty,
    utf16_length,
)

MOST_BYTES = 1 << 15
PARSERS = {"html": parse_html, "markdown": parse_markdown, "markdownv2": parse_markdown_v2}


def read_text(parameters: Parameters) -> Json:
    """Return the fields of a Message that a call's text makes.

    Raises:
        BadRequestError: It makes no sense, or is too long.
    """
    text = parameters.string("text")
    if not text:
        raise BadRequestError("message text is empty")
    if len(text) > MOST_BYTES // 4 and len(text.encode()) > MOST_BYTES:
        raise BadRequestError("text is too long")
    formatted = _formatted(parameters, text, "entities")
    if is_empty(formatted.text):
        raise BadRequestError("text must be non-empty")
    if utf16_length(formatted.text) > LONGEST_MESSAGE:
        raise BadRequestError("message is too long")
    return _fields(formatted, "text", "entities")


def read_caption(parameters: Parameters) -> Json:
    """Return the fields of a Message that a call's caption makes: none where it is empty.

    Raises:
        BadRequestError: It makes no sense, or is too long.
    """
    formatted = _formatted(parameters, parameters.string("caption"), "caption_entities")
    if is_empty(formatted.text):
        return {}
    if utf16_length(formatted.text) > LONGEST_CAPTION:
        raise BadRequestError("message caption is too long")
    return _fields(formatted, "caption", "caption_entities")


def _formatted(parameters: Parameters, text: str, entities: str) -> Formatted:
    """Return a text as Telegram keeps it, by its parse mode or its entities."""
    mode = parameters.text("parse_mode").lower()
    if not mode or mode == "none":
        return Formatted(text, _given_entities(parameters, text, entities)).kept()
    if mode not in PARSERS:
        raise BadRequestError("unsupported parse_mode")
    return PARSERS[mode](text).kept()


def _fields(formatted: Formatted, text: str, entities: str) -> Json:
    merged = _merged(formatted.entities, find_entities(formatted.text))
    return {text: formatted.text, **({entities: merged} if merged else {})}


def _given_entities(parameters: Parameters, text: str, name: str) -> list[Entity]:
    try:
        given = parameters.json(name, "entities")
    except BadRequestError:
        return []  # as the server does
    if not isinstance(given, list):
        return []
    return [_entity(entity, utf16_length(text)) for entity in given]


def _entity(given: Any, length: int) -> Entity:
    if not isinstance(given, dict):
        raise BadRequestError("can't parse MessageEntity: expected an Object")
    for name, kind in (("type", str), ("offset", int), ("length", int)):
        if name not in given:
            raise BadRequestError(f"can't parse MessageEntity: Can't find field \"{name}\"")
        if not isinstance(given[name], kind):
            of = "Number" if kind is int else "String"
            raise BadRequestError(
                f'can\'t parse MessageEntity: Field "{name}" must be of type {of}'
            )
    if not 0 <= given["offset"] <= length:
        raise BadRequestError(
            f"entity begins after the end of the text at UTF-16 offset {given['offset']}"
        )
    if given["length"] < 0 or given["offset"] + given["length"] > length:
        raise BadRequestError(
            f"entity beginning at UTF-16 offset {given['offset']} ends after the end of the text "
            f"at UTF-16 offset {given['offset'] + given['length']}"
        )
    return given


def _merged(given: list[Entity], detected: list[Entity]) -> list[Entity]:
    """Return the given entities, and those that were detected where none was given."""
    if not given:
        return detected
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in given]
    free = [
        entity
        for entity in detected
        if all(
            entity["offset"] >= end or entity["offset"] + entity["length"] <= start
            for start, end in taken
        )
    ]
    order = sorted([*given, *free], key=lambda entity: (entity["offset"], -entity["length"]))
    return [entity for entity in order if entity["length"] > 0]
