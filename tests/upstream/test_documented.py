"""docs/UPSTREAM.md lists what the suite shows, and nothing else."""

import re
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

HERE = Path(__file__).parent
DOCUMENT = (HERE.parents[1] / "docs/UPSTREAM.md").read_text(encoding="utf-8")


def test_every_fault_is_listed_and_shown() -> None:
    """A row a test, a test a row."""
    shown = {
        name
        for path in HERE.glob("test_*.py")
        if path != Path(__file__)
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert shown == set(re.findall(r"`(test_\w+)`", DOCUMENT))


def test_versions_are_those_that_are_installed() -> None:
    """What is said of a version was seen with it."""
    for name in ("redis", "faststream", "python-telegram-bot"):
        heading = {"redis": "redis-py", "faststream": "FastStream"}.get(name, name)
        assert re.search(rf"^## {heading} {re.escape(version(name))}\b", DOCUMENT, re.MULTILINE)


def test_files_that_hold_a_workaround_exist() -> None:
    """A path in the list is one of the tree."""
    for path in re.findall(r"`((?:infra|docs|tests)/[\w/.-]+)`", DOCUMENT):
        assert (HERE.parents[1] / path).exists(), path


def test_what_a_workaround_is_called_is_there() -> None:
    """A module of ours can be imported, and has what the list says is in it."""
    modules = re.findall(r"`(shared(?:\.\w+)+)`", DOCUMENT)
    named = re.findall(r"`(\w+(?:\.\w+)*)` in `(shared(?:\.\w+)+)`", DOCUMENT)
    assert named
    for module in modules:
        resolve_name(module)
    for name, module in named:
        resolve_name(f"{module}:{name}")
