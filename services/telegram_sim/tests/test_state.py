"""A state file survives SIGKILL at any moment; nothing that anybody was told is forgotten."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimAwayError, SimClient, SimProcess


@pytest.fixture
async def process(tmp_path: Path, token: str) -> AsyncIterator[SimProcess]:
    """A simulator with a state file."""
    state = tmp_path / "deep" / "sim.db"
    async with SimProcess(state=state, tokens=(token,), limits=False) as started:
        yield started


async def restart(process: SimProcess) -> None:
    """Kill a simulator without a warning, and start it again at the same place."""
    await process.kill()
    await process.start()


async def test_everything_is_there_after_a_kill(
    process: SimProcess, sim: SimClient, api: Any
) -> None:
    """Updates, messages, users, chats, commands, presses, faults, limits and the clock."""
    await sim.advance(1000)
    written = await sim.write("/start", user={"id": 7, "first_name": "Ada"})
    await sim.write("/drop", chat={"id": -1001234567890, "title": "Room", "username": "room"})
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    sent = await api("sendMessage", chat_id=7, text="Sure?", reply_markup=keyboard)
    pressed = await sim.press(7, sent["result"]["message_id"], "y")
    commands = [{"command": "start", "description": "Begin"}]
    await api("setMyCommands", commands=commands)
    await api("getUpdates", allowed_updates=["message", "callback_query"])
    await sim.set_limits(enabled=False, chat_burst=3)
    await sim.add_fault("flood", method="close", count=5)
    await sim.block(7)
    room = -1001234567890
    await sim.set_member(room, 7, "administrator")
    await sim.set_privacy(enabled=False)
    await api("sendDice", chat_id=7)
    before = await sim.bot()
    shift = (await sim.overview()).shift

    await restart(process)

    after = await sim.bot()
    kept = ("pending", "next_update_id", "sent", "chats", "allowed_updates", "privacy")
    for name in (*kept, "not_simulated"):
        assert after.raw[name] == before.raw[name]
    administrators = (await api("getChatAdministrators", chat_id=room))["result"]
    assert [member["user"]["first_name"] for member in administrators] == ["Ada"]
    overview = await sim.overview()
    assert overview.shift == shift == 1000
    assert overview.raw["limits"]["chat_burst"] == 3
    assert [fault.count for fault in await sim.faults()] == [5]
    assert [message.text for message in await sim.messages(7)] == ["/start", "Sure?"]
    assert (await api("getMyCommands"))["result"] == commands
    updates = (await api("getUpdates"))["result"]
    assert updates[0]["update_id"] == written.update_id
    assert updates[0]["message"] == written.raw
    assert (await api("sendMessage", chat_id=7, text="x"))["error_code"] == 403
    await sim.block(7, blocked=False)
    query = pressed.callback_query_id
    assert (await api("answerCallbackQuery", callback_query_id=query))["ok"]
    next_one = await sim.write("/next", user=7)
    assert next_one.message_id == sent["result"]["message_id"] + 1
    assert next_one.raw["from"]["first_name"] == "Ada"


async def test_a_confirmed_update_stays_confirmed(
    process: SimProcess, sim: SimClient, api: Any
) -> None:
    """What an answered getUpdates has confirmed does not come again."""
    many = await sim.write_many("/n {n}", count=10)
    assert many.last_update_id is not None
    await api("getUpdates", offset=many.last_update_id - 1)
    await restart(process)
    updates = (await api("getUpdates"))["result"]
    assert [update["message"]["text"] for update in updates] == ["/n 8", "/n 9"]
    await api("getUpdates", offset=many.last_update_id + 1)
    await restart(process)
    written = await sim.write("/more")
    assert written.update_id == many.last_update_id + 1


async def test_two_pollers_are_remembered_after_a_kill(
    process: SimProcess, sim: SimClient, api: Any, url: str, token: str
) -> None:
    """The evidence of a deploy gone wrong is kept, and later pollers have other numbers."""
    for expected in ([(1, 2)], [(1, 2), (3, 4)]):
        older = asyncio.create_task(api("getUpdates", timeout=50))
        async with asyncio.timeout(20):
            while not (await sim.bot()).polls_in_flight:
                await asyncio.sleep(0.01)
        async with aiohttp.ClientSession() as session:
            newer = asyncio.create_task(session.get(f"{url}/bot{token}/getUpdates?timeout=50"))
            assert (await older)["error_code"] == 409
            assert [overlap.pollers for overlap in (await sim.bot()).overlaps] == expected
            await restart(process)
            with pytest.raises(aiohttp.ClientError):
                await newer
        assert [overlap.pollers for overlap in (await sim.bot()).overlaps] == expected


async def test_a_webhook_goes_on_after_a_kill(
    process: SimProcess, sim: SimClient, api: Any
) -> None:
    """The webhook is kept with all that it was told."""
    url = f"{process.url}/nowhere"
    await api("setWebhook", url=url, secret_token="abc", max_connections=3)
    await restart(process)
    await sim.write("/one")
    info = (await api("getWebhookInfo"))["result"]
    assert (info["url"], info["max_connections"]) == (url, 3)
    async with asyncio.timeout(20):
        while "last_error_message" not in info:
            info = (await api("getWebhookInfo"))["result"]
    assert info["last_error_message"] == "Wrong response from the webhook: 404 Not Found"


async def test_nothing_told_is_forgotten_under_load(
    process: SimProcess, sim: SimClient, url: str, token: str
) -> None:
    """Killed at random moments under load: what was answered is there, and nothing comes twice.

    One task writes, one confirms, two send. After each kill everything that was answered must
    be known; what was asked and not answered may or may not be.
    """
    chances = random.Random(20)  # noqa: S311 - repeatable, not secret
    load = Load(sim, url, token)
    await sim.write("/start", user=7)
    for _ in range(8):
        tasks = [asyncio.create_task(job()) for job in (load.write, load.confirm, *[load.send] * 2)]
        await asyncio.sleep(0.1 + chances.random() * 0.4)
        await process.kill()
        await asyncio.gather(*tasks)
        await process.start()
        await load.check()
    assert len(load.written) > 50
    assert len(load.confirmed) > 50
    assert len(load.sent) > 20


class Load:
    """What a busy day asks of the simulator, and what it was told."""

    def __init__(self, sim: SimClient, url: str, token: str) -> None:
        self._sim = sim
        self._url = f"{url}/bot{token}"
        self.written: dict[int, str] = {}
        self.confirmed: set[int] = set()
        self.asked_to_confirm: set[int] = set()
        self.sent: set[str] = set()
        self._count = 0

    async def write(self) -> None:
        """Write as a user until the simulator is away."""
        with contextlib.suppress(SimAwayError):
            while True:
                self._count += 1
                text = f"/n {self._count}"
                done = await self._sim.write(text, user=8)
                assert done.update_id is not None
                assert done.update_id not in self.written
                self.written[done.update_id] = text

    async def confirm(self) -> None:
        """Fetch and confirm, a few at a time, until the simulator is away."""
        async with aiohttp.ClientSession() as session:
            offset = 0
            seen: set[int] = set()
            with contextlib.suppress(aiohttp.ClientError):
                while True:
                    self.asked_to_confirm |= seen
                    query = {"offset": str(offset), "limit": "5", "timeout": "5"}
                    async with session.get(f"{self._url}/getUpdates", params=query) as response:
                        updates = (await response.json())["result"]
                    self.confirmed |= seen
                    again = {update["update_id"] for update in updates} & self.confirmed
                    assert not again
                    seen = {update["update_id"] for update in updates}
                    offset = max(seen, default=offset - 1) + 1

    async def send(self) -> None:
        """Send as the bot until the simulator is away."""
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):
                while True:
                    self._count += 1
                    body = {"chat_id": 7, "text": f"answer {self._count}"}
                    async with session.post(f"{self._url}/sendMessage", json=body) as response:
                        self.sent.add((await response.json())["result"]["text"])

    async def check(self) -> None:
        """Compare what the simulator knows with what it has told."""
        texts = [message.text for message in await self._sim.messages(7)]
        assert self.sent <= set(texts)
        assert len(texts) == len(set(texts))
        assert set(self.written.values()) <= {
            message.text for message in await self._sim.messages(8)
        }
        async with aiohttp.ClientSession() as session:
            pending: set[int] = set()
            async with session.get(f"{self._url}/getUpdates", params={"offset": "1"}) as response:
                pending = {update["update_id"] for update in (await response.json())["result"]}
        assert not pending & self.confirmed
        known = pending | self.asked_to_confirm
        assert {update_id for update_id in self.written if update_id <= max(known)} <= known
