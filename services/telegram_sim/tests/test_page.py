"""The chat page is served whole, asks nobody else for anything, and hears what happens."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient

Call = Callable[..., Awaitable[dict[str, Any]]]
KINDS = {
    "/": "text/html",
    "/page.css": "text/css",
    "/page.js": "text/javascript",
    "/chat.js": "text/javascript",
}


@pytest.mark.parametrize(("path", "kind"), KINDS.items())
async def test_every_part_is_served(
    url: str, http: aiohttp.ClientSession, path: str, kind: str
) -> None:
    """Each part comes with its type, and a second time only when it has changed."""
    async with http.get(f"{url}{path}") as response:
        assert (response.status, response.content_type) == (200, kind)
        tag = response.headers["ETag"]
    async with http.get(f"{url}{path}", headers={"If-None-Match": tag}) as response:
        assert response.status == 304


async def test_the_page_needs_nothing_from_elsewhere(url: str, http: aiohttp.ClientSession) -> None:
    """Whatever a part loads is a part, and the browser is told to load nothing else."""
    for path in KINDS:
        async with http.get(f"{url}{path}") as response:
            text = await response.text()
            assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Frame-Options"] == "DENY"
        loaded = re.findall(r'(?:src|href)="([^"]*)"|from "([^"]*)"|url\(([^)]*)\)', text)
        for name in ("".join(parts) for parts in loaded):
            assert name in KINDS or name.startswith("data:")


async def test_the_page_asks_only_for_what_the_control_api_has(
    url: str, http: aiohttp.ClientSession
) -> None:
    """Every control path in the page's code is answered by the simulator."""
    async with http.get(f"{url}/page.js") as response:
        text = await response.text()
    asked = set(re.findall(r'"(GET|POST)", "(/sim/[a-z_]+)"', text))
    assert len(asked) >= 6
    headers = {"Content-Type": "application/json"}
    for method, path in asked:
        async with http.request(method, f"{url}{path}", data=b"[", headers=headers) as response:
            assert response.status == 400


async def test_watchers_hear_what_happens(
    url: str, http: aiohttp.ClientSession, sim: SimClient, api: Call
) -> None:
    """Messages, edits, deletions, actions and answered buttons come as server-sent events."""
    written = await sim.write("/start", user=7)
    number = written.raw["message_id"]
    mine = int((await api("getMe"))["result"]["id"])
    async with http.get(f"{url}/sim/events") as stream:
        assert stream.content_type == "text/event-stream"
        await sim.write("hello", user=7)
        await api("sendChatAction", chat_id=7, action="typing")
        keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
        sent = (await api("sendMessage", chat_id=7, text="?", reply_markup=keyboard))["result"]
        place = {"chat_id": 7, "message_id": sent["message_id"]}
        await api("editMessageText", **place, text="!", reply_markup=keyboard)
        pressed = await sim.press(7, sent["message_id"], "Yes")
        await api("answerCallbackQuery", callback_query_id=pressed.callback_query_id, text="ok")
        await api("sendDice", chat_id=7)
        await api("deleteMessage", chat_id=7, message_id=number)
        kinds: list[str] = []
        async with asyncio.timeout(20):
            while kinds[-1:] != ["deleted"]:
                line = (await stream.content.readline()).decode()
                event = json.loads(line[6:]) if line.startswith("data: ") else {}
                if event.get("bot") == mine:
                    kinds.append(event["type"])
    assert kinds[:4] == ["message", "action", "message", "edited"]
    assert kinds[4:] == ["answered", "not_simulated", "deleted"]


async def test_a_new_user_and_a_new_group_can_be_made(
    url: str, http: aiohttp.ClientSession, sim: SimClient, token: str, api: Call
) -> None:
    """The page's plus button: a private chat with a new number, or a group."""

    async def make(**body: str) -> dict[str, Any]:
        async with http.post(f"{url}/sim/chats", json={**body, "token": token}) as response:
            chat: dict[str, Any] = (await response.json())["result"]
            return chat

    ada, bob = await make(kind="private", name="Ada"), await make(kind="private", name="Bob")
    assert (ada["first_name"], ada["type"], bob["id"]) == ("Ada", "private", ada["id"] + 1)
    room = await make(kind="group", name="Room")
    assert (room["title"], room["type"]) == ("Room", "group")
    assert [chat["id"] for chat in await sim.chats()] == [ada["id"], bob["id"], room["id"]]
    unasked = await api("sendMessage", chat_id=ada["id"], text="hello")
    assert unasked["description"] == "Forbidden: bot can't initiate conversation with a user"
