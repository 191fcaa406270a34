"""Faults that the official schemas find: JSON Schema 2020-12, AsyncAPI 3.0, OpenAPI 3.1."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.codegen.specs.documents import Document

QUOTED = re.compile(r"'([^']*)'")
UNKNOWN = re.compile(r"(was|were) unexpected|not match any of the regexes")
PLACE = re.compile(r":(\d+):(\d+): ")
ASYNCAPI = Path(__file__).parent / "asyncapi" / "3.0.0.json"


def schema_faults(document: Document) -> list[str]:
    """Return what keeps a document from being a JSON Schema 2020-12."""
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return _faults(document, validator.iter_errors(document.data))


def asyncapi_faults(document: Document) -> list[str]:
    """Return what keeps a document from being AsyncAPI 3.0, by its official schema."""
    return _faults(document, _asyncapi_validator().iter_errors(document.data))


def openapi_faults(document: Document, bundled: Any) -> list[str]:
    """Return what keeps a document from being OpenAPI 3.1.

    Args:
        document: The document as it stands in its file, for the places.
        bundled: Its data with everything that it refers to in other files put inside.
    """
    return _faults(document, OpenAPIV31SpecValidator(bundled).iter_errors())


@cache
def _asyncapi_validator() -> Draft7Validator:
    return Draft7Validator(json.loads(ASYNCAPI.read_text(encoding="utf-8")))


def _faults(document: Document, errors: Iterable[ValidationError]) -> list[str]:
    lines = dict.fromkeys(line for error in errors for line in _lines(document, error))
    return sorted(lines, key=_position)


def _lines(document: Document, error: ValidationError) -> Iterator[str]:
    error = _cause(error)
    path = tuple(error.absolute_path) or _path_in(document, error.message)
    where = ".".join(str(step) for step in path)
    extra = _unknown_keys(error)
    for key in extra:
        yield document.fault((*path, key), f"{where or 'the document'}: unknown key {key!r}")
    if not extra:
        # Some validators append the whole schema and the whole document.
        reason = error.message.partition("\n")[0]
        yield document.fault(path, f"{where}: {reason}" if where else reason)


def _path_in(document: Document, message: str) -> tuple[str, ...]:
    """Return where a fault without a path is: at the operation that its message names."""
    named = QUOTED.findall(message)
    paths = document.data.get("paths") if isinstance(document.data, dict) else None
    for path in named:
        if isinstance(paths, dict) and path in paths:
            method = next((word for word in named if word in paths[path]), None)
            return ("paths", path, method) if method else ("paths", path)
    return ()


def _cause(error: ValidationError) -> ValidationError:
    """Return the fault inside a failed choice that its author most likely meant."""
    while error.context:
        branches = [inner for inner in error.context if not _is_other_choice(inner)]
        chosen = best_match(branches or error.context)
        if not isinstance(chosen, ValidationError):
            break
        error = chosen
    return error


def _is_other_choice(error: ValidationError) -> bool:
    """Say whether a branch failed only because the author did not write a reference there."""
    missing_ref = error.validator == "required" and "'$ref'" in error.message
    return missing_ref and not error.relative_path


def _unknown_keys(error: ValidationError) -> list[str]:
    """Return the keys that a mapping must not have; both validators name them in the message."""
    first = error.message.partition("\n")[0]
    if not UNKNOWN.search(first) or not isinstance(error.instance, dict):
        return []
    return [name for name in QUOTED.findall(first) if name in error.instance]


def _position(line: str) -> tuple[int, int]:
    match = PLACE.search(line)
    return (int(match[1]), int(match[2])) if match else (0, 0)
