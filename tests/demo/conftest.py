"""Folders that a demo runs in."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

FORK = Path(__file__).parent / "fork"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files, which has to be empty again after the demo."""
    with tempfile.TemporaryDirectory(prefix="herald-test-") as name:
        yield Path(name)


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """Somebody else's project, to be changed at will."""
    return Path(shutil.copytree(FORK, tmp_path / "fork"))


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A project of one bot that needs nothing."""
    return Path(shutil.copytree(FORK.with_name("echo"), tmp_path / "echo"))
