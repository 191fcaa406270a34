"""Source text from checked specs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from datamodel_code_generator import generate
from datamodel_code_generator.enums import DataModelType, InputFileType
from datamodel_code_generator.format import DatetimeClassType, Formatter, PythonVersion

from infra.codegen.specs.events import Channel
from infra.codegen.specs.models import LOCAL, Models
from infra.codegen.specs.operations import Api
from infra.places.templates import templates

LINE_LENGTH = 100
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def schemas(models: Models) -> str:
    """Return the module of pydantic models: frozen, timestamps with their offset."""
    inside = "#/components/schemas/"
    definitions = json.loads(json.dumps(models.schemas).replace(LOCAL, inside))
    # As an OpenAPI document, since that alone has definitions without a model around them all.
    document = {
        "openapi": "3.1.0",
        "info": {"title": "models", "version": "1"},
        "paths": {},
        "components": {"schemas": definitions},
    }
    text = generate(
        document,
        input_file_type=InputFileType.OpenAPI,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        output_datetime_class=DatetimeClassType.Awaredatetime,
        formatters=[Formatter.BUILTIN],
        custom_file_header=_header("Everything that crosses a border.", models.document.name),
        collapse_root_models=True,
        use_single_line_docstring=True,
        disable_future_imports=True,
        disable_timestamp=True,
        enable_faux_immutability=True,
        field_constraints=True,
        strict_refs=True,
        allow_remote_refs=False,
        use_annotated=True,
        use_schema_description=True,
    )
    return _formatted(str(text))


def events(channels: tuple[Channel, ...], source: str) -> str:
    """Return the module with the broker and the functions of every event."""
    header = _header("Every event of the stack: publish it, or subscribe to it.", source)
    return _formatted(_template("events.py.jinja", header=header, channels=channels))


def router(api: Api, source: str) -> str:
    """Return the module with the controller protocol of one API and the router that calls it."""
    header = _header(f"{api.title}: what a controller offers, and the routes to it.", source)
    used = {operation.body for operation in api.operations}
    for operation in api.operations:
        used |= {response.model for response in (operation.success, *operation.errors)}
    imports = sorted(name for name in used if name)
    places = sorted({part.place.title() for o in api.operations for part in o.parameters})
    return _formatted(
        _template("router.py.jinja", header=header, api=api, imports=imports, places=places)
    )


def package(summary: str, source: str) -> str:
    """Return the `__init__` of a package that holds generated modules only."""
    return _formatted(_header(summary, source) + "\n")


def _header(summary: str, source: str) -> str:
    rule = f"Written by `make generate-from-spec` from {source}; do not edit."
    return f'"""{_doc(summary)}\n\n{rule}\n"""'


def _doc(text: str) -> str:
    """Return a text as it stands in a docstring."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return CONTROL.sub(lambda character: f"\\x{ord(character[0]):02x}", escaped)


def _literal(value: Any) -> str:
    """Return Python source for a value."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


_template = templates(Path(__file__).parent / "templates", doc=_doc, literal=_literal, camel=_camel)


def _formatted(text: str) -> str:
    """Return the text as ruff formats it, whatever configuration lies around."""
    # --isolated: the output depends on the pinned ruff alone.
    command = (sys.executable, "-m", "ruff", "format", "--isolated", "--quiet")
    options = ("--line-length", str(LINE_LENGTH), "--target-version", "py311", "-")
    return subprocess.run(
        (*command, *options), input=text, text=True, encoding="utf-8", check=True, stdout=-1
    ).stdout
