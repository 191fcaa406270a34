"""The simulator gets wrong what it is told to get wrong, and nothing else."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient, SimRefusedError

Call = Callable[..., Awaitable[dict[str, Any]]]
pytestmark = pytest.mark.usefixtures("restored")


@pytest.fixture
async def chat(sim: SimClient) -> int:
    """A chat that the bot may write into."""
    return (await sim.write("/start", user=7)).chat_id


async def test_a_flood_is_answered_with_its_retry_after(
    sim: SimClient, api: Call, chat: int
) -> None:
    """429 once, then all is well; the message was not sent the first time."""
    await sim.add_fault("flood", method="sendMessage", count=1, retry_after=7)
    answer = await api("sendMessage", chat_id=chat, text="x")
    assert answer["error_code"] == 429
    assert answer["parameters"] == {"retry_after": 7}
    assert (await sim.bot()).sent == 0
    assert (await api("sendMessage", chat_id=chat, text="x"))["ok"]


@pytest.mark.parametrize(("code", "name"), [(500, "Internal Server Error"), (502, "Bad Gateway")])
async def test_an_error_is_a_5xx(sim: SimClient, api: Call, code: int, name: str) -> None:
    """The server fails, in the Bot API's shape."""
    await sim.add_fault("error", count=1, code=code)
    assert await api("getMe") == {"ok": False, "error_code": code, "description": name}


async def test_slow_carries_out_later(sim: SimClient, api: Call) -> None:
    """The answer comes after the delay."""
    await sim.add_fault("slow", delay=0.3, count=1)
    begun = time.monotonic()
    assert (await api("getMe"))["ok"]
    assert time.monotonic() - begun >= 0.3


async def test_lost_carries_out_and_ends_the_connection(
    sim: SimClient, api: Call, chat: int
) -> None:
    """The message is sent, and the sender never learns of it."""
    await sim.add_fault("lost", method="sendMessage", count=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api("sendMessage", chat_id=chat, text="sent")
    assert [message.text for message in await sim.messages(chat)] == ["/start", "sent"]


async def test_a_lost_get_updates_has_confirmed(sim: SimClient, api: Call) -> None:
    """The offset counts though the answer is lost; what was in it comes again."""
    many = await sim.write_many("/n {n}", count=4)
    assert many.first_update_id is not None
    await sim.add_fault("lost", method="getUpdates", count=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api("getUpdates", offset=many.first_update_id + 2)
    assert (await sim.bot()).pending == 2


async def test_reset_does_not_carry_out(sim: SimClient, api: Call, chat: int) -> None:
    """The connection is reset before anything happens."""
    await sim.add_fault("reset", method="sendMessage", count=1)
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await api("sendMessage", chat_id=chat, text="x")
    assert (await sim.bot()).sent == 0


async def test_broken_cuts_the_answer_short(sim: SimClient, api: Call, chat: int) -> None:
    """The message is sent, and half of the answer comes."""
    await sim.add_fault("broken", method="sendMessage", count=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("sendMessage", chat_id=chat, text="x")
    assert (await sim.bot()).sent == 1


async def test_a_fault_strikes_only_its_method(sim: SimClient, api: Call, chat: int) -> None:
    """Others go on, and a fault without a count stays until it is removed."""
    fault = await sim.add_fault("error", method="getMe")
    assert not (await api("getMe"))["ok"]
    assert (await api("sendMessage", chat_id=chat, text="x"))["ok"]
    assert not (await api("getMe"))["ok"]
    (there,) = await sim.faults()
    assert (there.id, there.struck, there.count) == (fault.id, 2, None)
    await sim.remove_fault(fault.id)
    assert (await api("getMe"))["ok"]


async def test_a_fault_ends_after_its_seconds(sim: SimClient, api: Call) -> None:
    """Its time is the simulator's."""
    await sim.add_fault("error", seconds=60)
    assert not (await api("getMe"))["ok"]
    await sim.advance(61)
    assert (await api("getMe"))["ok"]
    assert await sim.faults() == []


async def test_a_probability_strikes_the_same_requests_again(sim: SimClient, api: Call) -> None:
    """The seed decides which requests are struck."""
    rows = []
    for _ in range(2):
        await sim.add_fault("error", probability=0.5, seed=42)
        rows.append([(await api("getMe"))["ok"] for _ in range(40)])
        await sim.clear_faults()
    assert rows[0] == rows[1]
    assert 5 < sum(rows[0]) < 35


async def test_slow_and_another_fault_come_together(sim: SimClient, api: Call) -> None:
    """A request can be slow and then fail."""
    await sim.add_fault("slow", delay=0.2)
    await sim.add_fault("error", count=1)
    begun = time.monotonic()
    assert not (await api("getMe"))["ok"]
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"kind": "sad"}, "kind must be one of"),
        ({"kind": "error", "method": "makeCoffee"}, "method must be"),
        ({"kind": "error", "count": 0}, "count must be at least 1"),
        ({"kind": "error", "probability": 2}, "probability must be"),
        ({"kind": "error", "seconds": 0}, "seconds must be more than 0"),
        ({"kind": "error", "code": 404}, "code must be from 500 to 599"),
        ({"kind": "flood", "retry_after": 0}, "retry_after must be at least 1"),
        ({"kind": "slow", "delay": -1}, "delay must not be negative"),
        ({"kind": "slow", "dely": 1}, "unknown field dely"),
    ],
)
async def test_a_wrong_fault_is_refused(
    sim: SimClient, options: dict[str, Any], reason: str
) -> None:
    """The reason is told, and nothing strikes."""
    with pytest.raises(SimRefusedError, match=reason):
        await sim.add_fault(**options)
    assert await sim.faults() == []


async def test_an_unknown_fault_cannot_be_removed(
    sim: SimClient, url: str, http: aiohttp.ClientSession
) -> None:
    """404, and the reason."""
    with pytest.raises(SimRefusedError, match="there is no fault 500"):
        await sim.remove_fault(500)
    async with http.delete(f"{url}/sim/faults/500") as response:
        assert response.status == 404
