"""A repository in a temporary folder with specs of these tests, and the command run on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.codegen.__main__ import main
from tests.infra.codegen.copying import SPECS, copy_specs


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that holds the specs of these tests."""
    return copy_specs(SPECS, tmp_path)


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
