"""AGENTS.md says what is checked: each rule names its check, and here are those without a home."""

import ast
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from infra.dev.lint import steps, tracked
from infra.stack import load_plan
from tests.infra.test_arrows import ALONE, SERVICES

ROOT = Path(__file__).resolve().parents[2]
PLAN = load_plan(ROOT / "services.yml")
PAGES = [ROOT / "AGENTS.md", *sorted(ROOT.glob("services/*/AGENTS.md"))]
SOURCES = [
    path
    for name in SERVICES
    if name not in ALONE
    for path in sorted((ROOT / "services" / name / "src").rglob("*.py"))
]
CHECK = re.compile(r"`((?:tests|services)/[\w/]+\.py|make lint: [a-z. ]+)`")


def page_name(path: Path) -> str:
    """Return where a page or a source stands."""
    return path.relative_to(ROOT).as_posix()


def rules(page: Path) -> list[str]:
    """Return the items below the heading `Rules`."""
    text = page.read_text(encoding="utf-8").partition("\n## Rules\n")[2]
    return [
        " ".join(item.split())
        for item in re.split(r"^- ", text.partition("\n## ")[0], flags=re.MULTILINE)
    ][1:]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_each_rule_names_what_holds_it(page: Path) -> None:
    """A rule that nothing checks is a wish; the test or the step of `make lint` is there."""
    known = {f"make lint: {step.name}" for step in steps()}
    for rule in rules(page):
        checks = CHECK.findall(rule)
        assert checks, rule
        known |= {name for name in checks for at in (ROOT, page.parent) if (at / name).is_file()}
        assert set(checks) <= known


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """Its tables of files and rooms too."""
    files = {Path(path).name for path in tracked("*.py")}
    named = re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", page.read_text(encoding="utf-8"))
    assert set(named) <= files


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_code_that_a_page_shows_is_python_and_finds_its_names(page: Path) -> None:
    """What it imports of ours is there to be imported."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        lines = block.splitlines()
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        code = "\n".join(line[margin:] for line in lines)
        tree = compile(code, page.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared"):
                module = import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def waits_after_errors(tree: ast.AST) -> Iterator[int]:
    """Yield the lines where something sleeps because something failed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and inner.attr == "sleep":
                    yield inner.lineno


def names(tree: ast.AST) -> set[str]:
    """Return the names and attributes that a source uses, and the modules that it imports."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            used |= {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
    return used


@pytest.mark.parametrize("path", SOURCES, ids=page_name)
def test_the_life_of_a_process_is_the_runtimes(path: Path) -> None:
    """No signal handler, back-off or library for one, and no event loop of a service's own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {"add_signal_handler", "signal", "stamina", "tenacity", "backoff"}
    assert names(tree) & own == set()
    assert list(waits_after_errors(tree)) == []


@pytest.mark.parametrize("path", SOURCES, ids=page_name)
def test_the_environment_is_read_by_the_settings(path: Path) -> None:
    """And by nothing else, so that one file shows what a service is told."""
    used = names(ast.parse(path.read_text(encoding="utf-8")))
    assert path.name == "settings.py" or used & {"environ", "environb", "getenv"} == set()


def test_who_stores_what_an_event_does_can_undo_it() -> None:
    """A deploy sends an event through the whole path, and takes it back."""
    databases = {part.name for part in PLAN.infrastructure if part.type == "postgres"}
    for service in PLAN.services:
        stores = {var.reference.target for var in service.env if var.reference} & databases
        if service.subscribes and stores:
            package = ROOT / "services" / service.name / "src" / service.name
            assert (package / "undo.py").is_file(), service.name


def test_what_is_locked_has_a_hash_and_no_address() -> None:
    """A lock file says what, and never where from."""
    files = tracked("*requirements*.txt")
    assert len(files) >= len(SERVICES)
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
        for line in text.splitlines():
            assert "://" not in line, name
            assert line.strip()[:1] in {"", "#"} or " --hash=sha256:" in line, line


def test_no_file_has_the_marks_of_a_merge() -> None:
    """Git leaves both sides in a text where they differ, and a page shows that to its readers."""
    marks = ("git", "grep", "--line-number", "--extended-regexp", "^(<{7}|>{7}) ")
    marked = subprocess.run(marks, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (marked.returncode, marked.stdout) == (1, "")


def test_the_lock_of_uv_is_not_committed() -> None:
    """It names the registry that it was made with."""
    assert tracked("uv.lock", "*/uv.lock") == []
    ignored = subprocess.run(("git", "check-ignore", "-q", "uv.lock"), cwd=ROOT, check=False)
    assert ignored.returncode == 0
