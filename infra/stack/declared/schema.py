"""The JSON Schema of services.yml for editors, made from the same shapes that read it.

Draft-07, because that is what the YAML language server of the common editors follows.
"""

import json
from typing import TYPE_CHECKING, Any

from infra.stack.declared.declaration import STACK

if TYPE_CHECKING:
    from infra.stack.declared.shapes import Schema

SCHEMA = "infra/schema/services.schema.json"


def render_schema() -> str:
    """Return the schema as text, the same for the same declaration."""
    definitions: Schema = {}
    root = STACK.schema(definitions)
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "services.yml",
        **definitions.pop(root["$ref"].rpartition("/")[2]),
        "definitions": definitions,
    }
    return json.dumps(_draft_07(document), indent=2, ensure_ascii=False) + "\n"


def _draft_07(value: Any) -> Any:
    """Return the schema with every `$ref` alone: draft-07 ignores what stands beside it."""
    if isinstance(value, list):
        return [_draft_07(item) for item in value]
    if not isinstance(value, dict):
        return value
    beside = {name: _draft_07(item) for name, item in value.items() if name != "$ref"}
    if "$ref" not in value:
        return beside
    return {**beside, "allOf": [{"$ref": value["$ref"]}]} if beside else dict(value)
