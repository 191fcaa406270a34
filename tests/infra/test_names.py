"""What is written down by name is there, and what is there has a name that says what it is."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMELESS = {"found", "one", "told"}
"""What a variable is not called: it says that there is something, not what."""
DOTTED = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)+)`")
PYTHON = re.compile(r"[\w/]+\.py\b")
OURS = re.compile(
    r"(?<![\w/.])(?:demo|deploy|docs|infra|services|shared|tests)(?:/[\w*-]+)+(?:\.\w+)+"
)
FILES = (".json", ".md", ".py", ".txt", ".yaml", ".yml")
ELSEWHERE = {
    "deploy/secrets/recipients.txt",  # who deploys has it
    "infra/compose.NAME.yml",  # a pattern
    "Update.de_json",  # python-telegram-bot's
}


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files of the repository, those that are new among them."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return tuple(path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file())


@cache
def trees() -> dict[Path, ast.Module]:
    """Return every Python source, parsed."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in tracked()
        if path.suffix == ".py"
    }


def module_of(path: Path) -> str:
    """Return the name that a source is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[parts.index("src") + 1 :] if "src" in parts else parts
    return ".".join(part for part in parts if part != "__init__")


def attributes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each class with each name that its body or its methods give it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name, inner.name
                elif isinstance(inner, ast.Attribute):
                    yield node.name, inner.attr
                elif isinstance(inner, ast.Name):
                    yield node.name, inner.id


def variables(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each variable, parameter, attribute and function with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno


def docstrings(tree: ast.AST) -> Iterator[str]:
    """Yield what modules, classes and functions say of themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@cache
def contents() -> frozenset[tuple[str, str]]:
    """Return every module with every name that stands in it, and with none."""
    return frozenset(
        (module_of(path), name)
        for path, tree in trees().items()
        for node in (*tree.body, None)
        for name in _defined(node)
    )


def _defined(node: ast.stmt | None) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ImportFrom | ast.Import):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return [] if node else [""]


@cache
def modules() -> frozenset[str]:
    """Return the names that the sources are imported by."""
    return frozenset(module for module, _ in contents())


@cache
def members() -> frozenset[tuple[str, str]]:
    """Return every class with every name of it."""
    return frozenset(pair for tree in trees().values() for pair in attributes(tree))


@cache
def classes() -> frozenset[str]:
    """Return the names of all classes."""
    return frozenset(name for name, _ in members())


@cache
def endings() -> frozenset[str]:
    """Return every way to write the end of a file's path."""
    paths = (path.relative_to(ROOT).parts for path in tracked())
    return frozenset("/".join(parts[at:]) for parts in paths for at in range(len(parts)))


def lacks(name: str) -> bool:
    """Whether a dotted name is one of ours, and there is no such module or member."""
    first, *rest = name.split(".")
    if first in classes():
        return (first, rest[0]) not in members()
    module, _, member = name.rpartition(".")
    return first in modules() and not {(name, ""), (module, member)} & contents()


def absent(text: str) -> list[str]:
    """Return the modules, members and files that a docstring names and that are not there."""
    files = [name for name in PYTHON.findall(text) if name not in endings()]
    others = [name for name in OURS.findall(text) if not name.endswith(".py")]
    return [
        *(name for name in DOTTED.findall(text) if not name.endswith(FILES) and lacks(name)),
        *files,
        *(name for name in others if not [*ROOT.glob(name)]),
    ]


def test_variables_have_names() -> None:
    """A reader is told what a variable holds, not that there is one."""
    nameless = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in trees().items()
        for name, line in variables(tree)
        if name.strip("_") in NAMELESS
    ]
    assert nameless == []


def test_what_a_docstring_names_is_there() -> None:
    """A module or file that has moved is not looked for where it was."""
    gone = {
        f"{path.relative_to(ROOT)} names {name}"
        for path, tree in trees().items()
        for text in docstrings(tree)
        for name in absent(text)
        if name not in ELSEWHERE
    }
    assert gone == set()


@pytest.mark.parametrize(
    "text",
    ["`infra.stack.nowhere`", "`Plan.stand_in`", "as `stack/lost.py` says", "see infra/lost.yml"],
)
def test_what_is_gone_is_noticed(text: str) -> None:
    """Modules, members of classes, sources and other files."""
    assert len(absent(text)) == 1


def test_what_is_there_is_left_alone() -> None:
    """Whichever way it is written."""
    text = "`infra.stack.plan`, `infra.stack.load_plan`, `Plan.running`, plan.py, infra/topology.md"
    assert absent(text) == []
