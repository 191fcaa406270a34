"""Sending is limited by Telegram's figures."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telegram_sim.client import SimClient, SimProcess

Call = Callable[..., Awaitable[dict[str, Any]]]


async def sent_until_refused(api: Call, chats: list[int]) -> tuple[int, dict[str, Any]]:
    """Send to the chats in turn until a message is refused; return how many were not."""
    for count in range(200):
        answer = await api("sendMessage", chat_id=chats[count % len(chats)], text=str(count))
        if not answer["ok"]:
            return count, answer
    return 200, {}


@pytest.mark.usefixtures("restored")
async def test_a_short_burst_into_one_chat_passes(sim: SimClient, api: Call) -> None:
    """Twenty messages at once pass, then one a second."""
    await sim.write("/start", user=7)
    await sim.set_limits(enabled=True, chat_per_second=0.01)
    count, answer = await sent_until_refused(api, [7])
    assert count == 20
    wait = answer["parameters"]["retry_after"]
    assert answer == {
        "ok": False,
        "error_code": 429,
        "description": f"Too Many Requests: retry after {wait}",
        "parameters": {"retry_after": wait},
    }
    await sim.advance(wait)
    assert (await sent_until_refused(api, [7]))[0] == 1
    assert (await sim.bot()).raw["limited"] == 2


@pytest.mark.usefixtures("restored")
async def test_a_group_gets_twenty_messages_a_minute(sim: SimClient, api: Call) -> None:
    """The twenty-first message within a minute is refused, whatever a chat's burst is."""
    await sim.write("/start", chat=-5)
    await sim.set_limits(enabled=True, chat_burst=100)
    count, answer = await sent_until_refused(api, [-5])
    assert count == 20
    assert 50 <= answer["parameters"]["retry_after"] <= 60
    await sim.advance(60)
    assert (await sent_until_refused(api, [-5]))[0] == 20


@pytest.mark.usefixtures("restored")
async def test_all_chats_together_have_one_limit(sim: SimClient, api: Call) -> None:
    """So many messages in any second, whatever chats they go to; the next second has room."""
    users = list(range(1, 101))
    await sim.write_many("/start", count=100, users=100, first_user=1)
    await sim.set_limits(enabled=True, all_per_second=2)
    count, answer = await sent_until_refused(api, users)
    assert 2 <= count < 200
    assert answer["parameters"]["retry_after"] == 1
    await sim.advance(1)
    assert (await api("sendMessage", chat_id=50, text="again"))["ok"]


async def test_limits_are_on_unless_told_otherwise(
    process: SimProcess, sim: SimClient, api: Call
) -> None:
    """A simulator started without a word about limits has Telegram's; they can be turned off."""
    del process
    assert (await sim.overview()).raw["limits"] == {
        "enabled": True,
        "chat_per_second": 1.0,
        "chat_burst": 20,
        "group_per_minute": 20,
        "all_per_second": 30,
    }
    await sim.write("/start", user=7)
    assert (await sent_until_refused(api, [7]))[0] < 200
    await sim.set_limits(enabled=False)
    assert (await sent_until_refused(api, [7]))[0] == 200


async def test_no_limits_turns_them_off_at_the_start(sim: SimClient, api: Call) -> None:
    """A simulator started with --no-limits lets everything pass."""
    await sim.write("/start", user=7)
    assert (await sent_until_refused(api, [7]))[0] == 200
