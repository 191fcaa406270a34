"""The documents say what is there: targets, suites, services, links."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.dev.suites import SUITES
from infra.stack import load_plan
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".tools", ".git", "node_modules"} & set(path.relative_to(ROOT).parts)
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", MAKEFILE, re.MULTILINE))


PROMISES = ("How", "Where it ends")
HISTORY = {"An upgrade from 0.1.0."}
"""What no test can run any more: the release of before is none of the tree."""


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


def test_what_is_promised_names_the_test_that_shows_it() -> None:
    """Each step of docs/DELIVERY.md, and each place where the promise ends, and the tests exist."""
    page = (ROOT / "docs/DELIVERY.md").read_text(encoding="utf-8")
    how, ends = (page.split(f"## {title}\n")[1].split("\n## ")[0] for title in PROMISES)
    steps = re.findall(r"^\| (?!step)([^|-][^|]*) \|.*\| (.+) \|$", how, re.MULTILINE)
    limits = re.findall(r"^- \*\*(.+?)\*\*(.*?)(?=^- |\Z)", ends, re.MULTILINE | re.DOTALL)
    assert min(len(steps), len(limits)) > 10
    for title, text in (*steps, *limits):
        tests = re.findall(r"`((?:tests|services)/[\w/]+\.py)`", text)
        assert tests or title in HISTORY, title
        assert [path for path in tests if not (ROOT / path).is_file()] == [], title


def test_each_kind_of_change_has_a_place_to_begin() -> None:
    """CONTRIBUTING.md sends at least ten kinds of change to a file or room that is there."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!change )([^|-][^|]*) \| ([^|]+) \|", table, re.MULTILINE)
    assert len(rows) >= 10
    assert [change for change, start in rows if "](" not in start] == []
    named = re.findall(r"\]\(([^)]+\.py)\), `(\w+)`", table)
    assert [name for path, name in named if name not in (ROOT / path).read_text("utf-8")] == []
    assert named


def test_every_suite_and_service_is_documented() -> None:
    """AGENTS.md names every suite; every service has its rules, and one of Herald's its README."""
    rules = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
    assert [name for name in SUITES if name not in rules] == []
    heralds = {service.name for service in load_plan(STACK).services}
    for service in load_plan(ROOT / "services.yml").services:
        for page in ("README.md", "AGENTS.md") if service.name in heralds else ("AGENTS.md",):
            there = (ROOT / "services" / service.name / page).is_file()
            assert there or not service.built, f"{service.name}/{page}"


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
