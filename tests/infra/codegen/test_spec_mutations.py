"""Broken specs: each is taken, or answered with its places, never a traceback.

What is taken makes Python that compiles: an event's name ends up as a name in the code.
"""

import ast
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.codegen.specs.names import IMPORTED
from tests.infra.mutating import mutate, spread

ROOT = Path(__file__).resolve().parents[3]
EVENTS, MODELS = "shared/spec/events.yaml", "shared/spec/models.yaml"
MUTATIONS = 50
PLACE = re.compile(r"[\w/]+\.yaml:(\d+):(\d+): \S")


@pytest.mark.parametrize("name", [EVENTS, MODELS])
@pytest.mark.parametrize("part", range(5))
def test_a_mutation_is_taken_or_answered(
    part: int,
    name: str,
    repository: Path,
    generate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 0, or 65 with `FILE:LINE:COL: message` in every line."""
    declared = (repository / name).read_text(encoding="utf-8")
    for place, how in spread(declared, MUTATIONS)[part::5]:
        text = mutate(declared, place, how)
        (repository / name).write_text(text, encoding="utf-8")
        try:
            code = generate()
            said = capsys.readouterr().err.splitlines()
            for made in repository.glob("shared/src/shared/generated/*.py"):
                compile(made.read_text(encoding="utf-8"), made, "exec")
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{how} at {place}: {error!r}") from error
        assert code in {os.EX_OK, os.EX_DATAERR}
        assert bool(said) == bool(code)
        assert all(PLACE.match(line) for line in said), said


def test_whatever_generated_code_imports_is_no_name_of_a_spec() -> None:
    """The list is as long as the imports of the templates, and of what was made."""
    made = (ROOT / "shared/src/shared/generated/schemas.py").read_text(encoding="utf-8")
    templates = (ROOT / "infra/codegen/templates").glob("*.py.jinja")
    texts = [made, *(path.read_text(encoding="utf-8") for path in templates)]
    imports = [
        names
        for text in texts
        for names in re.findall(
            r"^from (?!shared\.generated)\S+ import (\([^)]*\)|.*)$", text, re.MULTILINE
        )
    ]
    assert {name for names in imports for name in re.findall(r"\b[A-Z]\w+", names)} <= IMPORTED


SUMMARY = "summary: Publish a command that the bot received."
TEXTS = ['x""" + print() + """', "a\\", "b \0 \x1b[2J", "{{ 7 * 7 }} {% raw %}", '"']


@pytest.mark.parametrize("text", TEXTS)
def test_a_description_stays_a_description(
    text: str, repository: Path, generate: Callable[..., int], edit: Callable[[str, str, str], None]
) -> None:
    """What ends a docstring, or steers a terminal or a template, is text like any other."""
    edit(EVENTS, SUMMARY, f"summary: {json.dumps(text)}")
    assert generate() == os.EX_OK
    made = repository / "shared/src/shared/generated/events.py"
    source = made.read_text(encoding="utf-8")
    assert all(character.isprintable() or character == "\n" for character in source)
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.AsyncFunctionDef)]
    assert (ast.get_docstring(functions[0]) or "").startswith(f"{text}\n")
