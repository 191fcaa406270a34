"""POST /debug/command: it works, and everything about it says that it is deprecated."""

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import structlog

from backend.app import create_app
from shared.generated.events import broker
from shared.inbox import Database
from tests.servers import RedisServer

COMMAND = {"command": "/command привет 🚀", "user_id": 42}


@pytest.fixture
async def debug(
    redis: RedisServer, sqlite_url: str, connect_to: Callable[[str], Database]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose broker is connected."""
    await broker.connect(redis.url, source="/backend")
    transport = httpx.ASGITransport(create_app(connect_to(sqlite_url)))
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        yield client
    await broker.close()


def data_of(redis: RedisServer, entry_id: str) -> object:
    """Return what a plain client reads at one entry of the stream."""
    ((_, fields),) = redis.client().xrange("command_received", entry_id, entry_id)
    (value,) = fields.values()
    return json.loads(value)["data"]


async def test_the_command_is_in_the_stream(debug: httpx.AsyncClient, redis: RedisServer) -> None:
    """202, and the answer says where: a plain client finds it there, with its words split."""
    response = await debug.post("/debug/command", json=COMMAND)
    assert response.status_code == 202
    assert response.json()["stream"] == "command_received"
    data = data_of(redis, response.json()["entry_id"])
    assert isinstance(data, dict)
    assert data.items() >= {**COMMAND, "args": ["привет", "🚀"]}.items()


async def test_given_arguments_are_taken_as_they_are(
    debug: httpx.AsyncClient, redis: RedisServer
) -> None:
    """The text is split only where no arguments are given."""
    response = await debug.post("/debug/command", json={**COMMAND, "args": ["one word"]})
    data = data_of(redis, response.json()["entry_id"])
    assert isinstance(data, dict)
    assert data["args"] == ["one word"]


async def test_the_answer_says_that_it_is_deprecated(debug: httpx.AsyncClient) -> None:
    """RFC 9745: the Deprecation header is a date, @ and seconds; a Link says what it means."""
    response = await debug.post("/debug/command", json=COMMAND)
    assert response.headers["deprecation"] == "@1767225600"
    assert 'rel="deprecation"' in response.headers["link"]


async def test_the_log_warns_and_keeps_the_text_to_itself(debug: httpx.AsyncClient) -> None:
    """One warning a call, so that the operator finds who still calls."""
    with structlog.testing.capture_logs() as logs:
        await debug.post("/debug/command", json=COMMAND)
    (warning,) = (line for line in logs if line["log_level"] == "warning")
    assert warning["event"] == "deprecated operation called"
    assert "привет" not in str(logs)


async def test_a_command_too_large_for_the_stream_is_refused(
    debug: httpx.AsyncClient, redis: RedisServer
) -> None:
    """422 with the reason, and nothing in the stream."""
    response = await debug.post("/debug/command", json={**COMMAND, "args": ["x" * 70_000]})
    assert response.status_code == 422
    assert "too large" in response.json()["detail"]
    assert redis.client().xlen("command_received") == 0


async def test_while_redis_is_away_the_answer_says_so(
    debug: httpx.AsyncClient, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 after a bounded wait, with a hint at when to try again."""
    monkeypatch.setattr("backend.debug.PUBLISH_TIMEOUT", 0.2)
    redis.kill()
    response = await debug.post("/debug/command", json=COMMAND)
    assert response.status_code == 503
    assert "Redis cannot be reached" in response.json()["detail"]
    assert response.headers["retry-after"] == "1"
