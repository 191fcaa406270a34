"""Who is let into the console, and what another site's page cannot do."""

import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import httpx
import pytest

from shared.console import ConsoleMode, console, entrance
from shared.settings import SettingsError
from tests.servers import RedisServer

TOKEN = "a-token-of-these-tests-only"
HERE = "http://127.0.0.1:8000"
OURS = {"Origin": HERE, "Content-Type": "application/json"}
DECISION = {"verb": "drop", "stream": "command_received", "ids": ["1-1"]}
KNOWN_ONLY = ("standing", "events", "letters", "audit")


def client_of(redis_url: str, mode: ConsoleMode = "login", at: str = HERE) -> httpx.AsyncClient:
    """Return a client of a console at an address."""
    app: Any = console(mode, redis_url=redis_url, token=TOKEN)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=at)


@pytest.fixture
async def http(redis_server: RedisServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a console with a login."""
    async with client_of(redis_server.url) as client:
        yield client


async def log_in(http: httpx.AsyncClient, token: str = TOKEN) -> httpx.Response:
    """Try a token."""
    return await http.post("/api/login", json={"token": token}, headers=OURS)


async def test_nobody_sees_or_decides_anything_without_the_token(http: httpx.AsyncClient) -> None:
    """The page itself has no secret; whatever is behind it asks who is there."""
    assert (await http.get("/")).status_code == 200
    assert (await http.get("/api/session")).json()["who"] == ""
    for name in KNOWN_ONLY:
        assert (await http.get(f"/api/{name}")).status_code == 401
    assert (await http.post("/api/letters", json=DECISION, headers=OURS)).status_code == 401
    assert (await log_in(http, "wrong")).status_code == 401
    for forged in ("9999999999.", "9999999999." + "0" * 64, ".", "x.y"):
        cookies = {entrance.COOKIE: forged}
        answer = await http.get("/api/letters", headers={"Cookie": f"{entrance.COOKIE}={forged}"})
        assert answer.status_code == 401, cookies


async def test_the_token_makes_a_session_that_ends(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cookie is for this site and no script; it runs out, and a log-out takes it away."""
    answer = await log_in(http)
    for part in ("HttpOnly", "SameSite=strict", "Max-Age=43200"):
        assert part in answer.headers["set-cookie"]
    assert "Secure" not in answer.headers["set-cookie"]
    assert (await http.get("/api/letters")).json() == {"letters": [], "most": 200}
    monkeypatch.setattr(entrance, "time", lambda: 10**11)
    assert (await http.get("/api/letters")).status_code == 401
    monkeypatch.undo()
    await http.post("/api/logout", json={}, headers=OURS)
    assert (await http.get("/api/letters")).status_code == 401


async def test_behind_tls_the_cookie_travels_over_tls_only(http: httpx.AsyncClient) -> None:
    """As the proxy before it says."""
    headers = {**OURS, "X-Forwarded-Proto": "https"}
    answer = await http.post("/api/login", json={"token": TOKEN}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


async def test_tokens_cannot_be_tried_at_will(http: httpx.AsyncClient) -> None:
    """After five wrong ones in a minute even the right one waits."""
    for _ in range(entrance.TRIES):
        assert (await log_in(http, "wrong")).status_code == 401
    answer = await log_in(http)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Content-Type": "application/json"},
        {"Origin": HERE, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Content-Type": "application/json"},
        {"Origin": HERE, "Content-Type": "text/plain"},
    ],
)
async def test_another_site_sends_nothing_in_a_persons_name(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """Neither from another origin, nor from nowhere, nor as a form would."""
    await log_in(http)
    answer = await http.post("/api/letters", content=b'{"verb": "drop"}', headers=headers)
    assert answer.status_code in {403, 415}


async def test_an_open_console_answers_to_no_foreign_name(redis_server: RedisServer) -> None:
    """A name that somebody points at this machine would make their page one of ours."""
    for host, status in {
        "http://127.0.0.1:8000": 200,
        "http://localhost:8000": 200,
        "http://[::1]:8000": 200,
        "http://backend:8000": 200,
        "http://evil.example:8000": 403,
    }.items():
        async with client_of(redis_server.url, "open", host) as http:
            assert (await http.get("/api/standing")).status_code == status, host


async def test_every_answer_says_what_a_browser_may_do(http: httpx.AsyncClient) -> None:
    """No script or style but our own, inline neither; nobody frames it; errors say so too."""
    for path in ("/", "/console.js", "/api/session", "/api/letters"):
        policy = (await http.get(path)).headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


async def test_the_page_needs_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    """Whatever a part loads is a part, and each part is served as what it is."""
    parts = [part.name for part in (files("shared.console") / "page").iterdir()]
    for part in parts:
        answer = await http.get("/" if part == "index.html" else f"/{part}")
        assert answer.status_code == 200
        loaded = re.findall(r'(?:src|href)="([^"#]+)"|from "([^"]+)"|url\(([^)#]+)\)', answer.text)
        for name in ("".join(names).removeprefix("./") for names in loaded):
            assert name in parts or name == "data:,"
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", answer.text) or (
            part != "index.html"
        )


async def test_what_is_asked_is_held_to_its_form(redis_server: RedisServer) -> None:
    """A verb, stream or id that is none is refused before Redis hears of it."""
    async with client_of(redis_server.url, "open") as http:
        faults: tuple[dict[str, Any], ...] = (
            *({"verb": "wipe"}, {"stream": "other"}),
            *({"ids": []}, {"ids": ["-"]}),
        )
        for wrong in faults:
            body = {**DECISION, **wrong}
            answer = await http.post("/api/letters", json=body, headers=OURS)
            assert answer.status_code == 422, body
        gone = await http.post("/api/letters", json=DECISION, headers=OURS)
        assert gone.json()["outcomes"][0]["gone"] is True


async def test_a_redis_that_is_away_is_said(redis_server: RedisServer) -> None:
    """503 and why, and no traceback."""
    redis_server.kill()
    async with client_of(redis_server.url, "open") as http:
        answer = await http.get("/api/standing")
    assert answer.status_code == 503
    assert "Error" in answer.json()["error"]


def test_a_short_token_is_refused_at_the_start() -> None:
    """In one line; with `off` there is no console at all."""
    with pytest.raises(SettingsError, match="CONSOLE_TOKEN needs 20 characters or more"):
        console("login", redis_url="redis://127.0.0.1:1", token="short")
    assert console("off", redis_url="redis://127.0.0.1:1") is None
