"""A Docker engine for each test, and everything cleaned up after."""

import os
from collections.abc import Iterator

import pytest

from tests.docker.containers import Engine


@pytest.fixture
def docker() -> Iterator[Engine]:
    """Give an engine, or say what is missing: with CI=true that is a failure."""
    engine = Engine()
    if engine.command("version", "--format", "{{.Server.Version}}").returncode:
        message = "no Docker engine answers; 'make docker-engine' sets one up on Debian"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    yield engine
    engine.clean()
