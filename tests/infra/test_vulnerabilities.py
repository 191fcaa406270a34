"""`make vulnerabilities` asks OSV about every locked package; here a server of ours answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WEAKNESS = {
    "id": "PYSEC-2026-1",
    "summary": "a weakness",
    "affected": [
        {
            "package": {"name": "pydantic", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]},
            ],
        }
    ],
}


@contextmanager
def database(weak: str) -> Iterator[tuple[str, set[str]]]:
    """Serve OSV's query; yield its address, and the names that were asked for."""
    asked: set[str] = set()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = query["package"]["name"]
            asked.add(name)
            body = json.dumps({"vulns": [WEAKNESS]} if name == weak else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
        server.shutdown()


def check(address: str) -> subprocess.CompletedProcess[str]:
    """Run the check against one address."""
    command = (sys.executable, "-m", "infra.dev.vulnerabilities", "--osv-url", address)
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)


def test_a_weak_package_is_named_with_its_remedy() -> None:
    """One that is only in a service's image counts, as does one that only developers have."""
    with database("pydantic") as (address, asked):
        done = check(address)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("pydantic 2.")
    assert done.stdout.endswith(": PYSEC-2026-1, mended in 99.1\n")
    assert {"pydantic", "asyncpg", "ruff", "uv"} <= asked


def test_no_weakness_says_how_many_packages_were_asked_about() -> None:
    """A check of nothing would pass as well."""
    with database("") as (address, asked):
        done = check(address)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(asked)} packages, no known vulnerability\n"


def test_a_database_that_is_away_is_no_clean_bill() -> None:
    """One line and 69, no traceback."""
    done = check("http://127.0.0.1:9/v1/query")
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr.startswith("the database of vulnerabilities cannot be asked: ")
    assert done.stderr.count("\n") == 1
