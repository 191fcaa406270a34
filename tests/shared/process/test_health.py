"""The health check of a service that speaks no HTTP otherwise."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.process import health, serve_health
from shared.settings import SettingsError
from tests.servers import free_port


class Worker:
    """What is asked for its health."""

    working = True

    async def check(self) -> tuple[bool, dict[str, object]]:
        """Say whether it works, and on what."""
        return self.working, {"lag": 7}


@pytest.fixture
def worker() -> Worker:
    """A worker that works."""
    return Worker()


@pytest.fixture
async def client(worker: Worker) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its health server."""
    port = free_port()
    async with (
        serve_health(port, worker.check),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_it_is_green_while_the_service_works_and_red_when_not(
    client: httpx.AsyncClient, worker: Worker
) -> None:
    """With what the service has to tell."""
    green = await client.get("/health?verbose=1")
    assert (green.status_code, green.json()) == (200, {"status": "ok", "lag": 7})
    worker.working = False
    red = await client.get("/health")
    assert (red.status_code, red.json()) == (503, {"status": "unavailable", "lag": 7})


async def test_it_speaks_http(client: httpx.AsyncClient) -> None:
    """HEAD has no body, another path is not there, another method is none of its."""
    head = await client.head("/health")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    assert (await client.get("/")).status_code == 404
    refused = await client.post("/health", content=b"x" * 10)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("head", [b"", b"GET /health", b"\0" * 100_000, b"\r\n\r\n"])
async def test_nonsense_hurts_nobody(
    client: httpx.AsyncClient, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is no request nor one that never ends keeps the next from its answer."""
    monkeypatch.setattr(health, "REQUEST_TIMEOUT", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(head)
    await asyncio.wait_for(reader.read(), 5)  # it ends the connection
    writer.close()
    assert (await client.get("/health")).status_code == 200


async def test_a_taken_port_is_the_operators_to_mend(worker: Worker) -> None:
    """The variable and its value are named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"^HEALTH_PORT is {port}, which cannot be used: "):
            async with serve_health(port, worker.check):
                pass


async def test_it_listens_no_longer_than_the_service_works(worker: Worker) -> None:
    """The port is free again."""
    port = free_port()
    async with serve_health(port, worker.check):
        pass
    socket.create_server(("127.0.0.1", port)).close()
