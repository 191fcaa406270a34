"""The documents say what is there: targets, suites, services, links."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.dev.suites import SUITES
from infra.stack import load_plan

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".tools", ".git", "node_modules"} & set(path.relative_to(ROOT).parts)
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", MAKEFILE, re.MULTILINE))


def name(path: Path) -> str:
    """Return a page's name in the repository."""
    return str(path.relative_to(ROOT))


def test_every_target_is_listed_with_a_line() -> None:
    """`make help` shows every target, and each of them is phony."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    lists = re.findall(r"^(?:\.PHONY:|VERBS :=)(.*)$", MAKEFILE, re.MULTILINE)
    phony = set(" ".join(lists).split()) - {"$(VERBS)"}
    assert targets == set(TARGETS) == phony


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_that_is_named_exists(page: Path) -> None:
    """A page names no make target that is not there."""
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    named = {
        word
        for text in code
        for words in re.findall(r"\bmake((?: [a-z][a-z-]*\b(?!=))+)", text)
        for word in words.split()
    }
    assert named <= set(TARGETS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file of the repository finds it."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_suite_and_service_is_documented() -> None:
    """AGENTS.md names every suite; every service has its README and its rules."""
    rules = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
    assert [name for name in SUITES if name not in rules] == []
    for service in load_plan(ROOT / "services.yml").services:
        for page in ("README.md", "AGENTS.md"):
            assert (ROOT / "services" / service.name / page).is_file(), f"{service.name}/{page}"


def test_every_field_of_services_yml_is_described() -> None:
    """An editor that reads the schema can explain each field."""
    schema = json.loads((ROOT / "infra/schema/services.schema.json").read_text(encoding="utf-8"))
    missing: list[str] = []

    def look(node: Any, at: str) -> None:
        if isinstance(node, dict):
            for field, value in (node.get("properties") or {}).items():
                if isinstance(value, dict) and "description" not in value:
                    missing.append(f"{at}.{field}")
            for key, value in node.items():
                look(value, f"{at}.{key}")
        elif isinstance(node, list):
            for value in node:
                look(value, at)

    look(schema, "")
    assert missing == []
