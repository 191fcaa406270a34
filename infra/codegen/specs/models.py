"""models.yaml: the JSON Schemas that every other spec refers to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.codegen.specs.documents import Document, SpecError
from infra.codegen.specs.names import is_taken
from infra.codegen.specs.properties import naming_faults, required_faults
from infra.codegen.specs.validation import schema_faults
from infra.places.reading import Pointer

LOCAL = "#/$defs/"
CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True)
class Models:
    """The definitions of models.yaml, checked."""

    document: Document

    @property
    def schemas(self) -> dict[str, Any]:
        """Return every definition by its name."""
        definitions: dict[str, Any] = self.document.data["$defs"]
        return definitions

    def name_of(self, ref: object, base: Path) -> str | None:
        """Return the definition that a reference in another file means, if it means one of ours.

        Args:
            ref: The text of the reference, for example `models.yaml#/$defs/User`.
            base: The file that holds it.
        """
        if not isinstance(ref, str):
            return None
        target, _, fragment = ref.partition("#")
        if not target or (base.parent / target).resolve() != self.document.path.resolve():
            return None
        name = f"#{fragment}".removeprefix(LOCAL)
        return name if name in self.schemas else None

    def resolved(self, name: str) -> dict[str, Any]:
        """Return a definition whose own references to others are followed, one level deep."""
        schema: dict[str, Any] = self.schemas[name]
        while "$ref" in schema:
            target: dict[str, Any] = self.schemas[schema["$ref"].removeprefix(LOCAL)]
            schema = {**target, **{key: schema[key] for key in schema if key != "$ref"}}
        return schema

    def is_class(self, name: str) -> bool:
        """Say whether a definition becomes a class, and not merely the type of some field."""
        schema = self.resolved(name)
        return schema.get("type") == "object" or "allOf" in schema


def check(document: Document) -> Models:
    """Return the checked models.

    Raises:
        SpecError: It is no JSON Schema 2020-12, or has what the generator cannot translate.
    """
    faults = schema_faults(document)
    if not faults:
        faults = [*_naming_faults(document), *_reference_faults(document)]
    if not faults:
        faults = [*required_faults(document, ("$defs",)), *naming_faults(document)]
    if faults:
        raise SpecError(faults)
    return Models(document)


def _naming_faults(document: Document) -> Iterator[str]:
    definitions = document.data.get("$defs")
    if not isinstance(definitions, dict) or not definitions:
        yield document.fault((), "has no definitions under $defs")
        return
    for name, schema in definitions.items():
        if not CLASS_NAME.fullmatch(name):
            reason = f"{name!r} cannot name a class; use CamelCase letters and digits"
            yield document.fault(("$defs", name), reason)
        elif is_taken(name):
            reason = f"{name!r} means something else in the code; use another name"
            yield document.fault(("$defs", name), reason)
        if not isinstance(schema, dict):
            yield document.fault(("$defs", name), "a definition must be a mapping")
        elif not schema.get("description"):
            yield document.fault(("$defs", name), f"{name} has no description")


def _reference_faults(document: Document) -> Iterator[str]:
    definitions = document.data.get("$defs") or {}
    for pointer, ref in references(document.data):
        if not ref.startswith(LOCAL) or ref.removeprefix(LOCAL) not in definitions:
            reason = f"{ref!r} is no definition of this file; write '{LOCAL}<name>'"
            yield document.fault(pointer, reason)
    for name in definitions:
        if _loops(definitions, name):
            yield document.fault(("$defs", name), f"{name} is only a reference to itself")


def _loops(definitions: dict[str, Any], name: str) -> bool:
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        schema = definitions.get(name)
        ref = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(ref, str):
            return False
        name = ref.removeprefix(LOCAL)
    return True


def references(data: Any, pointer: Pointer = ()) -> Iterator[tuple[Pointer, str]]:
    """Yield every `$ref` below some data with the pointer to it."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "$ref" and isinstance(value, str):
                yield (*pointer, key), value
            else:
                yield from references(value, (*pointer, key))
    elif isinstance(data, list):
        for at, value in enumerate(data):
            yield from references(value, (*pointer, at))
