"""The API keeps what its OpenAPI document says, whatever is sent to it.

Schemathesis makes the requests, those that the document allows and those that it does not, and
sends them to a backend process that stands on a real PostgreSQL and a real Redis.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import Service
from tests.servers import RedisServer, free_port

EXAMPLES = "25"
"""Requests for each operation that are made up at random, besides those that the schema implies."""
BUSY = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""
"""On a machine too busy for its database an answer may be 503, which the document declares."""


@pytest.mark.timeout(600)  # hundreds of requests; two minutes where the machine has other work
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_answer_is_one_that_the_document_declares(
    database_url: str, redis: RedisServer, tmp_path: Path
) -> None:
    """No 5xx; the declared statuses, media types, headers and schemas; 405 with Allow."""
    port = str(free_port())
    variables = {"DATABASE_URL": database_url, "REDIS_URL": redis.url, "HTTP_PORT": port}
    with Service("backend", **variables) as backend:
        url = f"http://127.0.0.1:{port}"
        backend.wait_for(f"{url}/ready")
        (tmp_path / "schemathesis.toml").write_text(BUSY)
        schemathesis = str(Path(sys.executable).with_name("schemathesis"))
        finished = subprocess.run(
            (
                *(schemathesis, "run", f"{url}/openapi.json", "--checks", "all"),
                *("--max-examples", EXAMPLES, "--seed", "1"),
                *("--request-timeout", "60", "--suppress-health-check", "all"),
            ),
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1"},
            check=False,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stdout
        assert "Tested: 5" in finished.stdout
        assert backend.exit_code is None
        assert "Traceback" not in backend.log
