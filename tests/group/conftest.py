"""Three servers, for all tests of the folder."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.release import checkout
from tests.deploy.conftest import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown
from tests.group.servers import Three, three

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]


@pytest.fixture(scope="session")
def group() -> Iterator[Three]:
    """Three servers with Docker and a firewall, and a clone whose stores have copies."""
    engine = (sys.executable, "-m", "infra.engine", "--server")
    subprocess.run(engine, cwd=checkout.ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="herald-group-") as name, three(Path(name)) as made:
        yield made


@pytest.fixture
def brought_up(group: Three) -> None:
    """Three servers run, as the cases before leave them, or as a first deploy does."""
    if not group.servers["one"].succeeds("test -e /srv/herald/current"):
        group.deploy()
