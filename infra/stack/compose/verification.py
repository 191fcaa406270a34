"""Hold what the templates wrote to its document, and that to the Compose specification.

Templates are text, and text can go wrong in ways that only a reader notices: it must parse to the
document, and say nothing else.
"""

import importlib.util
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from infra.places.diagnostics import InputError
from infra.places.reading import kind_of, scalar_of
from infra.places.source import YAML_1_1

SPECIFICATION = "builtin_schemas/vendor/compose-spec.json"


class RenderingError(InputError):
    """A template's output does not say what the plan says; the template is at fault."""

    exit_code = os.EX_SOFTWARE


def verify(path: str, text: str, document: dict[str, Any]) -> None:
    """Hold a rendered Compose file to its document and to the Compose specification.

    Raises:
        RenderingError: a template is wrong; the message has the path inside the document.
    """
    try:
        root = yaml.compose(text, Loader=YAML_1_1)
        difference = next(_differences(document, root, ""), "")
    except (yaml.YAMLError, ValueError) as error:
        raise RenderingError(f"{path}: the template wrote no YAML: {error}") from error
    if difference:
        raise RenderingError(f"{path}: the template does not write the plan: {difference}")
    for fault in _validator().iter_errors(document):
        place = ".".join(str(part) for part in fault.instance_path)
        raise RenderingError(f"{path}: {place} is not what Compose takes: {fault.message}")


def _differences(wanted: Any, node: Node | None, at: str) -> Iterator[str]:
    """Yield where a node says something else than the data that it should.

    Raises:
        ValueError: a key stands twice, or a scalar has a form that JSON does not know.
    """
    if isinstance(node, MappingNode) and isinstance(wanted, dict):
        written = {key.value: value for key, value in node.value}
        if len(written) < len(node.value):
            line = node.start_mark.line + 1
            raise ValueError(f"a key stands twice in the mapping on line {line}")
        for name in [*wanted, *(extra for extra in written if extra not in wanted)]:
            there = f"{at}.{name}".removeprefix(".")
            if name in written and name in wanted:
                yield from _differences(wanted[name], written[name], there)
            else:
                yield f"{there} is {'missing' if name in wanted else 'too much'}"
    elif isinstance(node, SequenceNode) and isinstance(wanted, list):
        if len(node.value) != len(wanted):
            yield f"{at} has {len(node.value)} items and should have {len(wanted)}"
        for index, (item, child) in enumerate(zip(wanted, node.value, strict=False)):
            yield from _differences(item, child, f"{at}.{index}")
    elif isinstance(node, ScalarNode):
        value = scalar_of(node)
        if type(value) is not type(wanted) or value != wanted:
            yield f"{at} is {value!r} and should be {wanted!r}"
    else:
        yield f"{at} is {kind_of(node) if node else 'empty'} and should be {wanted!r}"


@cache
def _validator() -> Any:
    """Return the validator of the specification.

    It is another one than the specs', which follows failed choices to what their author meant and
    would take seconds here for hundreds of services.
    """
    import jsonschema_rs  # noqa: PLC0415  only what is about to be written is validated

    package = importlib.util.find_spec("check_jsonschema")
    if package is None or package.origin is None:
        raise RenderingError(
            "check-jsonschema, which carries the Compose specification, is missing"
        )
    schema = json.loads((Path(package.origin).parent / SPECIFICATION).read_text(encoding="utf-8"))
    return jsonschema_rs.validator_for(schema)
