"""Three servers of each kind of store, for the tests of a module."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.scale.servers import Servers


@pytest.fixture(scope="module")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """Three servers with what the module's KIND names; nothing runs on them yet."""
    if subprocess.run(("docker", "info"), capture_output=True, check=False).returncode:
        message = "no Docker engine answers; 'make docker-engine' sets one up on Debian"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    servers = Servers(tmp_path_factory.mktemp("servers"), request.module.KIND)
    try:
        servers.prepare()
        yield servers
    finally:
        servers.clean()
