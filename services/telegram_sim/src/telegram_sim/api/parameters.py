"""The parameters of one Bot API request, however they came: as HttpReader in tdlib/td reads them.

In the query, as a form, as JSON or as multipart/form-data; every value is text, and what is not
text in a JSON body is that value's JSON.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from telegram_sim.api.errors import ApiError, BadRequestError
from telegram_sim.api.serial import decode

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data"
LARGEST_BODY = 16 * 1024 * 1024
INTEGER = re.compile(r"\s*(-?\d{1,18})")
YES = frozenset({"true", "yes", "1"})
ATTACHED = "attach://"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came in a multipart body."""

    name: str
    content: bytes


class Parameters:
    """Named texts, read as the Bot API reads them: what is no number counts as 0, for example."""

    __slots__ = ("_uploads", "_values")

    def __init__(self, values: dict[str, str], uploads: Mapping[str, Upload] | None = None) -> None:
        self._values = values
        self._uploads = uploads or {}

    def text(self, name: str) -> str:
        """Return a parameter as it came; empty where it did not."""
        return self._values.get(name, "")

    def string(self, name: str) -> str:
        """Return a parameter that must be proper text.

        Raises:
            BadRequestError: It is not.
        """
        text = self._values.get(name, "")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRequestError("strings must be encoded in UTF-8") from None
        return text

    def integer(self, name: str, default: int = 0) -> int:
        """Return a parameter as a number; the default where it did not come or is empty."""
        text = self._values.get(name, "")
        if not text:
            return default
        digits = INTEGER.match(text)
        return int(digits[1]) if digits else 0

    def clamped(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Return a parameter as a number within bounds."""
        return min(max(self.integer(name, default), lowest), highest)

    def flag(self, name: str) -> bool:
        """Return whether a parameter says yes."""
        return self._values.get(name, "").strip().lower() in YES

    def json(self, name: str, what: str) -> Any:
        """Return a parameter that is JSON; None where it did not come or is empty.

        Raises:
            BadRequestError: It is no JSON; `what` names it.
        """
        text = self._values.get(name, "")
        if not text:
            return None
        try:
            return decode(text)
        except ValueError:
            raise BadRequestError(f"can't parse {what} JSON object") from None

    def file(self, name: str, given: str | None = None) -> Upload | str | None:
        """Return the file that a parameter names: Client::get_input_file.

        Args:
            name: The parameter; its own part of the body is the file where it has no text.
            given: The text that stands for the parameter in an object, as in InputMedia.

        Returns:
            The upload; the text where it names none, a file_id or a URL; None where there is none.
        """
        text = self._values.get(name, "") if given is None else given
        if text and not text.startswith(ATTACHED):
            return text
        return self._uploads.get(text.removeprefix(ATTACHED) or name)


async def read_parameters(request: web.Request) -> Parameters:
    """Return the parameters of a request of any HTTP method; the query's win over the body's.

    Raises:
        ApiError: The body cannot be understood, or is too large.
    """
    values: dict[str, str] = {}
    uploads: dict[str, Upload] = {}
    if request.body_exists:
        kind = request.content_type
        try:
            if kind == MULTIPART:
                values = await _multipart(request, uploads)
            else:
                body = await request.read()
                if kind == JSON:
                    values = _from_json(body)
                elif kind == FORM:
                    values = _from_form(body.decode("utf-8", "surrogateescape"))
        except web.HTTPRequestEntityTooLarge:
            raise ApiError(413, "Request Entity Too Large") from None
    query = request.rel_url.raw_query_string
    if query:
        values |= _from_form(query)
    return Parameters(values, uploads)


def _from_form(text: str) -> dict[str, str]:
    """Return what a form says; of a name that comes twice, the first value."""
    values: dict[str, str] = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            values.setdefault(_unescaped(name), _unescaped(value))
    return values


def _unescaped(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _from_json(body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        fields = decode(body)
    except ValueError as problem:
        raise BadRequestError(f"can't parse the body as JSON: {problem}") from None
    if not isinstance(fields, dict):
        raise BadRequestError("JSON object expected")
    return as_parameters(fields)


def as_parameters(values: dict[str, Any]) -> dict[str, str]:
    """Return the fields of a JSON object as parameters."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


async def _multipart(request: web.Request, uploads: dict[str, Upload]) -> dict[str, str]:
    """Return the texts of a multipart body, and put its files aside."""
    values: dict[str, str] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise BadRequestError("field name in multipart/form-data not found")
            content = bytes(await part.read(decode=True))
            if part.filename is not None:
                uploads.setdefault(part.name, Upload(part.filename, content))
            else:
                values.setdefault(part.name, content.decode("utf-8", "surrogateescape"))
    except (ValueError, AssertionError) as problem:
        raise BadRequestError(f"can't parse multipart/form-data: {problem}") from None
    return values
