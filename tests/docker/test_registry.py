"""Claims about fetching images: only a registry that cannot be reached is replaced."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.engine import registry
from infra.engine.report import SetupError

pytestmark = pytest.mark.usefixtures("docker")
ERRORS = {
    "limited": (429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'),
    "unknown": (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'),
}


class Registry(BaseHTTPRequestHandler):
    """A registry that has nothing: it answers with the error that an image's name asks for."""

    def do_GET(self) -> None:
        """Answer the check of the protocol's version, and refuse everything else."""
        error = next((answer for name, answer in ERRORS.items() if name in self.path), (200, b"{}"))
        self.send_response(error[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(error[1])))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(error[1])

    do_HEAD = do_GET  # noqa: N815 — the name is http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Run the registry that has nothing; the engine talks to loopback without TLS."""
    server = HTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("image", ["limited", "unknown"])
def test_a_registry_that_says_no_was_reached(address: str, image: str) -> None:
    """Its refusal is an error, never a reason to make a stand-in."""
    with pytest.raises(SetupError, match=image):
        registry.pull(f"{address}/{image}:1")


def test_nobody_listens() -> None:
    """A refused connection is a registry that can't be reached."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert registry.pull(f"127.0.0.1:{port}/image:1") is False


def test_nobody_answers() -> None:
    """A network that swallows everything is given up on after a short while."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        assert registry.pull(f"127.0.0.1:{port}/image:1", connect_time=1.0) is False
        # The engine itself would try for about half a minute.
        assert time.monotonic() - started < 20
