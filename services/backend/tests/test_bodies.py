"""What may come in over HTTP: how much, for how long, in which form; and what is not offered."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import uvicorn

from backend.app import create_app
from backend.bodies import LARGEST_BODY
from shared.inbox import Database

Converse = Callable[..., Awaitable[bytes]]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

POST = b"POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNK = b"%x\r\n%s\r\n" % (64 * 1024, b"x" * 64 * 1024)


@pytest.fixture
async def converse(database: Database) -> AsyncIterator[Converse]:
    """Sends pieces of a request to the served application, and returns all that it ever answers.

    The end of the answer is the end of the connection: the server has closed it.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    application = create_app(database)
    server = uvicorn.Server(
        uvicorn.Config(application, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve([listener]))

    async def send(*pieces: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    yield send
    server.should_exit = True
    await serving


def problem_of(answer: bytes) -> tuple[int, str]:
    """Return the status and the detail of a problem, which also announces the connection's end."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), str(json.loads(body)["detail"])


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(converse: Converse) -> None:
    """413 and the end of the connection, though not one byte of the body has come."""
    answer = await converse(POST + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1))
    status, detail = problem_of(answer)
    assert (status, str(LARGEST_BODY) in detail) == (413, True)


async def test_a_body_in_chunks_is_refused_once_it_is_too_large(converse: Converse) -> None:
    """The same where no length is announced: nobody waits for the last chunk."""
    answer = await converse(POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, CHUNK, CHUNK)
    assert problem_of(answer)[0] == 413


async def test_a_slow_body_is_not_waited_for(
    converse: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408 and the end of the connection, however many bytes have come."""
    monkeypatch.setattr("backend.bodies.BODY_TIMEOUT", 0.1)
    answer = await converse(POST + b"Content-Length: 100\r\n\r\n", b'{"id": ')
    assert problem_of(answer)[0] == 408


async def test_a_body_that_nobody_reads_ends_the_connection(converse: Converse) -> None:
    """Else a client could go on sending to a path that does not exist."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert problem_of(await converse(head, CHUNK))[0] == 404


async def test_a_body_of_the_largest_size_is_read(api: httpx.AsyncClient) -> None:
    """And the connection goes on: the limit is no limit below itself."""
    start = b'{"id": 5, "first_name": "Ann", "x": "'
    body = start + b"x" * (LARGEST_BODY - len(start) - 2) + b'"}'
    response = await api.post("/users", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201
    assert "connection" not in response.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_that_does_not_call_itself_json_is_415(
    api: httpx.AsyncClient, kind: str | None
) -> None:
    """A page of another origin can send no other without asking first."""
    headers = {"Content-Type": kind} if kind else {}
    response = await api.post("/users", content=b'{"id": 5, "first_name": "A"}', headers=headers)
    assert response.status_code == 415
    assert response.headers["accept"] == "application/json"
    assert response.headers["content-type"] == "application/problem+json"
    assert (await api.get("/users/5")).status_code == 404


async def test_every_405_says_what_is_allowed(api: httpx.AsyncClient) -> None:
    """RFC 9110: the Allow header is no option."""
    for method, path, allowed in (
        ("DELETE", "/users", "POST"),
        ("POST", "/users/5", "GET"),
        ("PUT", "/health", "GET"),
        ("GET", "/debug/command", "POST"),
    ):
        response = await api.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


async def test_what_a_client_would_rather_have_is_no_reason_to_refuse(
    api: httpx.AsyncClient,
) -> None:
    """RFC 9110 allows an answer in another form than Accept asks for; there is only one."""
    response = await api.get("/health", headers={"Accept": "application/xml"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


async def test_without_debug_endpoints_nobody_publishes_by_hand(database: Database) -> None:
    """Neither the operation is there nor the documents that name every other; the rest is."""
    transport = httpx.ASGITransport(create_app(database, debug_endpoints=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        command = {"command": "/x", "user_id": 1}
        assert (await client.post("/debug/command", json=command)).status_code == 404
        for page in ("/docs", "/redoc", "/openapi.json"):
            assert (await client.get(page)).status_code == 404
        assert (await client.get("/health")).status_code == 200
