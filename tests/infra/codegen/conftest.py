"""A repository in a temporary folder with the real specs, and the command run on it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.codegen.__main__ import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that holds this repository's specs and nothing that was generated from them."""
    for spec in (*ROOT.glob("shared/spec/*.yaml"), *ROOT.glob("services/*/spec/*.yaml")):
        copy = tmp_path / spec.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spec, copy)
    return tmp_path


@pytest.fixture
def edit(repository: Path) -> Callable[[str, str, str], None]:
    """Replace text, which must be there once, in one file of the repository."""

    def change(name: str, old: str, new: str) -> None:
        path = repository / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{text.count(old)} times in {name}: {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


@pytest.fixture
def generate(repository: Path) -> Callable[..., int]:
    """Run the command on the repository and return its exit status."""

    def run(*arguments: str) -> int:
        return main(list(arguments), repository)

    return run
