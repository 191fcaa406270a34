"""README.md tells the truth: its examples are run, and it leaves nothing out."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient, SimProcess
from telegram_sim.methods import METHODS
from telegram_sim.server.application import application
from telegram_sim.settings import Settings
from telegram_sim.state import State
from telegram_sim.world.faults import KINDS
from telegram_sim.world.simulator import Simulator

Call = Callable[..., Awaitable[dict[str, Any]]]
README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLE = re.compile(r"```http\n(\w+) (\S+)\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)


def shape(value: Any) -> Any:
    """Return what a value is made of: an object's fields, what a list holds, or nothing."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return None


async def test_every_example_works_as_told(
    process: SimProcess, sim: SimClient, api: Call, http: aiohttp.ClientSession, token: str
) -> None:
    """Each request of the README is answered, with the fields that the README shows."""
    await api("getMe")
    real_query = ""
    for method, path, body, shown in EXAMPLE.findall(README):
        if path == "/sim/press" and method == "POST":
            # The example presses a button of the bot's, so the bot has to have sent one.
            keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
            sent = await api("sendMessage", chat_id=7, text="Sure?", reply_markup=keyboard)
            assert sent["result"]["message_id"] == json.loads(body)["message_id"]
        if path.startswith("/sim/press?"):
            await api("answerCallbackQuery", callback_query_id=real_query, text="Done")
            path = path.replace("3141592653589793238", real_query)  # noqa: PLW2901 - made up there
        if path == "/sim/overview":
            await api("getUpdates", limit=1, offset=1, allowed_updates=["message"])
        headers = {"Content-Type": "application/json"} if body else {}
        async with http.request(
            method, f"{process.url}{path}", data=body or None, headers=headers
        ) as response:
            answer = await response.json()
        assert answer["ok"], (path, answer)
        result = answer["result"]
        if path == "/sim/press":
            real_query = result["callback_query_id"]
        if path == "/sim/messages?chat=7&after=0&limit=50":
            result = result[:1]
        if shown:
            assert shape(result) == shape(json.loads(shown)), path
    assert (await sim.bot()).id == int(token.partition(":")[0])


def test_every_control_request_has_an_example() -> None:
    """No route is left out."""
    app = application(Simulator(Settings(), State()))
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/sim/")
    }
    documented = {
        (method, re.sub(r"/\d+$", "/{id}", path.partition("?")[0]))
        for method, path, _, _ in EXAMPLE.findall(README)
    }
    watched = {("GET", "/sim/events"), ("GET", "/sim/files/{id}")}
    assert all(f"`{method} {path}`" in README for method, path in watched)
    assert {route for route in routes if route[0] != "HEAD"} == documented | watched


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_named(method: str) -> None:
    """The README lists the Bot API methods that there are."""
    assert method in README.lower()


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_explained(kind: str) -> None:
    """The README's table says of each fault what the code says of it."""
    assert f"| `{kind}` | {KINDS[kind]} |" in README


def test_every_variable_is_named() -> None:
    """The README's table has the variables that --help has."""
    source = (Path(__file__).parents[1] / "src/telegram_sim/settings.py").read_text()
    for variable in set(re.findall(r"SIM_[A-Z_]+", source)):
        assert f"| `{variable}` |" in README


def test_every_module_is_placed() -> None:
    """AGENTS.md says of every module where it belongs."""
    package = Path(__file__).parents[1] / "src/telegram_sim"
    rooms = (package.parents[1] / "AGENTS.md").read_text()
    for path in package.iterdir():
        if path.name not in {"__init__.py", "py.typed", "__pycache__"}:
            name = f"{path.name}/" if path.is_dir() else path.stem
            assert f"`{name}`" in rooms
