"""One contract for the environment: what services.yml declares is what the sources read."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from infra.stack import load_plan
from infra.stack.declared.defaults import WEBHOOK_VARIABLES
from shared.tracing.settings import TraceSettings

ROOT = Path(__file__).resolve().parents[2]
PLAN = load_plan(ROOT / "services.yml")
BUILT = [service.name for service in PLAN.services if service.built]
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
RUNTIME = {field.upper() for field in TraceSettings.model_fields}
"""What every process of the runtime reads by itself."""
READERS = {"environ", "getenv", "value", "_choice"}


def variables_read(name: str) -> set[str]:
    """Return the variables that a service's sources read.

    They are the fields of its settings model, those that it has from the runtime too, and every
    literal name that a call or a subscript takes from the environment.
    """
    variables = _fields(name)
    for path in sorted((ROOT / "services" / name / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            variables |= _literals(node)
    return variables


def _fields(name: str) -> set[str]:
    """Return the variables of a pydantic settings model: its fields in upper case."""
    settings = import_module(f"{name}.settings").Settings
    if not issubclass(settings, BaseModel):
        return set()
    return {field.upper() for field in settings.model_fields}


def _literals(node: ast.AST) -> set[str]:
    """Return the variables that are named literally where the environment is read."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.Call) and READERS & set(_names(node.func)):
        parts = node.args
    elif isinstance(node, ast.Subscript) and READERS & set(_names(node.value)):
        parts = [node.slice]
    return {
        part.value
        for part in parts
        if isinstance(part, ast.Constant)
        and isinstance(part.value, str)
        and VARIABLE.fullmatch(part.value)
    }


def _names(node: ast.expr) -> list[str]:
    """Return the names that a dotted expression is made of."""
    if isinstance(node, ast.Attribute):
        return [*_names(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


@pytest.mark.parametrize("name", BUILT)
def test_what_is_read_is_declared_and_what_is_declared_is_read(name: str) -> None:
    """No service reads a variable that services.yml lacks, and none is declared for nobody."""
    declared = {variable.name for variable in PLAN.service(name).env}
    assert variables_read(name) - (WEBHOOK_VARIABLES.keys() - declared) == declared - RUNTIME
    assert declared & RUNTIME in (RUNTIME, set()), "all of them or none"


@pytest.mark.parametrize("name", BUILT)
def test_every_variable_that_can_be_set_is_described(name: str) -> None:
    """A variable that can be set and has no description would be a riddle in .env.example."""
    settable = {"default", "secret", "required"}
    env = PLAN.service(name).env
    assert [
        variable.name for variable in env if variable.kind in settable and not variable.description
    ] == []


def test_env_example_has_every_variable_that_can_be_set() -> None:
    """Secrets, required and overridable variables are all in .env.example, each once."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    listed = [
        line.removeprefix("# ").split("=")[0]
        for line in lines
        if VARIABLE.match(line[2:]) or "=" in line
    ]
    names = [name for name in listed if VARIABLE.fullmatch(name)]
    settable = {
        variable.given_as
        for service in PLAN.services
        for variable in service.env
        if variable.kind in {"default", "secret", "required"}
    }
    assert len(names) == len(set(names))
    assert settable <= set(names)


def test_no_secret_of_ours_has_a_value_in_env_example() -> None:
    """What opens something elsewhere stands empty, to be filled in."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for service in PLAN.services:
        for variable in service.env:
            if variable.secret:
                assert f"\n{variable.given_as}=\n" in text
