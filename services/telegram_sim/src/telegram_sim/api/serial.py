"""JSON as the Bot API writes it: compact, with everything outside ASCII escaped."""

import json
from typing import Any

Json = dict[str, Any]

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def encode(value: object) -> bytes:
    """Return a value as JSON."""
    return _ENCODER.encode(value).encode("ascii")


def decode(text: bytes | str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: It is no JSON, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
