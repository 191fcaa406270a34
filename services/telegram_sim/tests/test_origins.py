"""No web page of elsewhere drives the simulator through the browser of somebody who can reach it.

Each request here is what a browser sends for such a page: by the Fetch standard the `Origin` of a
POST, the `Sec-Fetch-Site` of everything that goes to loopback, and in `Host` the name in the URL.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient, SimProcess

Send = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]
PAGE = "https://evil.example"
HERE = {"Sec-Fetch-Site": "same-origin"}
CROSS = {"Sec-Fetch-Site": "cross-site"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def send(url: str, http: aiohttp.ClientSession) -> Send:
    """Sends one request as it is, and returns the status and the answer."""

    async def request(
        method: str, path: str, headers: dict[str, str], body: object = None
    ) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body)
        async with http.request(method, f"{url}{path}", data=data, headers=headers) as response:
            if response.content_type != "application/json":  # server-sent events have no end
                return response.status, {}
            return response.status, await response.json()

    return request


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("path", ["/sim/write", "/sim/clock", "/sim/faults", "/sim/inject"])
async def test_a_change_is_asked_for_in_json(token: str, send: Send, path: str, kind: str) -> None:
    """What a page may send without asking first is 415, even without any of the other signs."""
    fields = {"/sim/clock": {"advance": 1}, "/sim/faults": {"kind": "reset", "count": 1}}
    written = {"token": token, "text": "x", "update": {"message": {}}}
    body = fields.get(path, written)
    _, before = await send("GET", "/sim/overview", {})
    status, answer = await send("POST", path, {"Content-Type": kind} if kind else {}, body)
    _, after = await send("GET", "/sim/overview", {})
    assert (status, answer["ok"]) == (415, False)
    assert "application/json" in answer["error"]
    for name in ("shift", "faults", "users"):
        assert before["result"][name] == after["result"][name]
    assert len(before["result"]["bots"]) == len(after["result"]["bots"])


@pytest.mark.parametrize(
    "signs",
    [
        {"Origin": PAGE},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8081", "Origin": "http://evil.example:8081", **HERE},
        {"Host": "127.0.0.1.evil.example:8081"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil.example@127.0.0.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "asked",
    [
        ("POST", "/sim/write"),
        ("DELETE", "/sim/faults"),
        ("GET", "/sim/overview"),
        ("GET", "/sim/events"),
        ("GET", "/page.js"),
        ("POST", "/bot/sendMessage"),
        ("GET", "/bot/sendMessage?chat_id=7&text=spam"),
    ],
)
async def test_a_foreign_page_gets_nothing_and_changes_nothing(
    sim: SimClient, token: str, send: Send, signs: dict[str, str], asked: tuple[str, str]
) -> None:
    """403 in the shape of the API that was meant: control, page, events and Bot API alike."""
    method, path = asked
    await sim.write("/start", user=7)
    body = {"token": token, "chat_id": 7, "text": "spam"} if method == "POST" else None
    status, answer = await send(
        method, path.replace("/bot/", f"/bot{token}/"), {**JSON, **signs}, body
    )
    assert status == 403
    reason = answer["error"] if path.startswith("/sim/") else answer["description"]
    assert "this simulator" in reason
    assert [message.text for message in await sim.messages(7)] == ["/start"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1:{port}", "[::1]:9", "192.0.2.7", "app.localhost:80", "LOCALHOST."],
)
async def test_the_page_itself_may_do_everything(
    shared: SimProcess, token: str, send: Send, host: str
) -> None:
    """Under localhost and every address, at the origin that it was loaded from."""
    host = host.format(port=shared.port)
    own = {"Host": host, "Origin": f"http://{host}", **HERE, **JSON}
    status, answer = await send("POST", "/sim/write", own, {"token": token, "text": "hello"})
    assert (status, answer["ok"]) == (200, True)
    assert (await send("GET", "/", {"Host": host, "Sec-Fetch-Site": "none"}))[0] == 200


async def test_a_link_from_elsewhere_opens_the_page(send: Send) -> None:
    """A person may follow one: the page shows itself to nobody else, and in no frame."""
    assert (await send("GET", "/", CROSS))[0] == 200


async def test_a_program_needs_no_json_for_the_bot_api(token: str, send: Send) -> None:
    """Forms and a mere GET, as Telegram takes them, from whoever knows the token."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for method, headers in (("GET", {}), ("POST", form), ("POST", {"Content-Type": "text/plain"})):
        status, answer = await send(method, f"/bot{token}/getMe?x=1", headers)
        assert (status, answer["ok"]) == (200, True)


@pytest.fixture
async def served() -> AsyncIterator[SimProcess]:
    """A simulator that has a name."""
    async with SimProcess(names=("telegram_sim", "Sim.example")) as process:
        yield process


async def test_a_name_is_served_once_it_is_named(
    served: SimProcess, http: aiohttp.ClientSession
) -> None:
    """SIM_NAMES: the container's name in Compose, or whatever leads to it elsewhere."""
    for host, status in (
        ("telegram_sim:8081", 200),
        ("sim.example", 200),
        ("telegram_sim.evil.example", 403),
    ):
        async with http.get(f"{served.url}/sim/overview", headers={"Host": host}) as response:
            assert response.status == status
            if status == 403:
                assert "name it in SIM_NAMES" in (await response.json())["error"]


@pytest.fixture
async def open_to_app() -> AsyncIterator[SimProcess]:
    """A simulator whose Bot API a web application may use."""
    async with SimProcess(origins=("https://app.example/",)) as process:
        yield process


async def test_pages_of_a_chosen_origin_may_use_the_bot_api(
    open_to_app: SimProcess, token: str, http: aiohttp.ClientSession
) -> None:
    """SIM_ORIGINS: the browser asks first and is answered as by Telegram; the control API stays."""
    page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    asking = {**page, "Access-Control-Request-Headers": "content-type"}
    path = f"{open_to_app.url}/bot{token}/getMe"
    async with http.options(path, headers=asking) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"
    async with http.post(path, headers=page, json={}) as response:
        assert (response.status, (await response.json())["ok"]) == (200, True)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    for origin, target in (
        ("https://app.example", "/sim/overview"),
        ("https://other.example", f"/bot{token}/getMe"),
    ):
        headers = {**page, "Origin": origin}
        async with http.get(f"{open_to_app.url}{target}", headers=headers) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
    elsewhere = {**page, "Host": "evil.example"}
    async with http.get(path, headers=elsewhere) as response:
        assert response.status == 403
