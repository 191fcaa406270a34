"""Groups: who is in them, and what a bot hears of what is written there."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telegram_sim.client import SimClient, SimRefusedError

Call = Callable[..., Awaitable[dict[str, Any]]]
GROUP = {"id": -4001, "title": "Engine room"}
ADA, GRACE = {"id": 7, "first_name": "Ada"}, {"id": 8, "first_name": "Grace"}


@pytest.fixture
def me(token: str) -> int:
    """The bot's own number."""
    return int(token.partition(":")[0])


async def test_a_bot_with_privacy_hears_what_is_meant_for_it(
    sim: SimClient, api: Call, me: int
) -> None:
    """Commands that are not another bot's, mentions of it and answers to it; nothing else."""
    await sim.write("/start", user=ADA, chat=GROUP)
    sent = (await api("sendMessage", chat_id=-4001, text="hello"))["result"]["message_id"]
    heard = {
        "hello all": False,
        "/go": True,
        f"/go@sim{me}_bot now": True,
        "/go@other_bot": False,
        f"well, @SIM{me}_bot": True,
        "well, @other_bot": False,
    }
    for text, hears in heard.items():
        written = await sim.write(text, user=ADA, chat=GROUP)
        assert (written.update_id is not None) == hears, text
    answered = await sim.write("me too", user=ADA, chat=GROUP, reply_to=sent)
    assert answered.update_id is not None
    silent = await sim.write("nobody hears", user=ADA, chat=GROUP)
    assert (await sim.edit(-4001, silent.message_id, "still nobody")).update_id is None
    assert (await sim.write("in private", user=ADA)).update_id is not None
    assert (await api("getMe"))["result"]["can_read_all_group_messages"] is False


async def test_a_bot_without_privacy_hears_all(sim: SimClient, api: Call) -> None:
    """What BotFather's /setprivacy does; the choice is the bot's, and kept."""
    await sim.set_privacy(enabled=False)
    assert (await sim.write("hello all", user=ADA, chat=GROUP)).update_id is not None
    assert (await api("getMe"))["result"]["can_read_all_group_messages"] is True
    await sim.set_privacy(enabled=True)
    assert (await sim.write("hello all", user=ADA, chat=GROUP)).update_id is None


async def test_a_bot_that_administers_a_group_hears_all(sim: SimClient, api: Call, me: int) -> None:
    """Privacy mode is for mere members; the bot is told of its new place."""
    await sim.write("/start", user=ADA, chat=GROUP)
    update = await sim.set_member(-4001, me, "administrator")
    assert update is not None
    change = (await api("getUpdates", offset=-1))["result"][0]["my_chat_member"]
    assert change["old_chat_member"]["status"] == "member"
    assert change["new_chat_member"]["status"] == "administrator"
    assert change["new_chat_member"]["can_delete_messages"] is True
    assert (await sim.write("hello all", user=ADA, chat=GROUP)).update_id is not None


async def test_members_are_told_of_to_administrators(sim: SimClient, api: Call, me: int) -> None:
    """A chat_member comes to a bot that asked for it and administers the group."""
    await api("getUpdates", allowed_updates=["message", "chat_member"])
    await sim.write("/start", user=ADA, chat=GROUP)
    assert await sim.set_member(-4001, GRACE, "administrator") is None
    await sim.set_member(-4001, me, "administrator")
    assert await sim.set_member(-4001, GRACE, "kicked") is not None
    assert await sim.set_member(-4001, GRACE, "kicked") is None
    change = (await api("getUpdates", offset=-1))["result"][0]["chat_member"]
    assert (change["old_chat_member"]["status"], change["new_chat_member"]["status"]) == (
        "administrator",
        "kicked",
    )
    assert change["new_chat_member"]["user"]["first_name"] == "Grace"


async def test_get_chat_member_knows_who_is_what(sim: SimClient, api: Call, me: int) -> None:
    """Who wrote is a member, who did not has left, and nobody knows a stranger."""

    async def status(user: int, chat: int = -4001) -> str:
        answer = await api("getChatMember", chat_id=chat, user_id=user)
        return str(answer["result"]["status"] if answer["ok"] else answer["description"])

    await sim.write("/start", user=ADA, chat=GROUP)
    await sim.write("/start", user=GRACE)
    assert [await status(user) for user in (7, 8, me)] == ["member", "left", "member"]
    assert await status(99) == "Bad Request: member not found"
    assert await status(0) == "Bad Request: invalid user_id specified"
    assert [await status(user, 8) for user in (8, me)] == ["member", "member"]
    assert await status(7, 8) == "Bad Request: member not found"
    await sim.set_member(-4001, ADA, "creator")
    await sim.set_member(-4001, GRACE, "administrator")
    assert [await status(user) for user in (7, 8)] == ["creator", "administrator"]
    admins = (await api("getChatAdministrators", chat_id=-4001))["result"]
    assert [member["user"]["id"] for member in admins] == [7, 8]
    assert (await api("getChatMemberCount", chat_id=-4001))["result"] == 3
    assert (await api("getChatMemberCount", chat_id=8))["result"] == 2
    private = await api("getChatAdministrators", chat_id=8)
    assert private["description"].endswith("there are no administrators in the private chat")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("kicked", "bot was kicked from the group chat"),
        ("left", "bot is not a member of the group chat"),
    ],
)
async def test_a_bot_that_is_not_in_a_group_can_do_nothing_there(
    sim: SimClient, api: Call, me: int, status: str, reason: str
) -> None:
    """It is told that it is out, hears nothing any more, and is refused with 403."""
    await sim.write("/start", user=ADA, chat=GROUP)
    assert await sim.set_member(-4001, me, status) is not None
    assert (await sim.write("/go", user=ADA, chat=GROUP)).update_id is None
    answer = await api("sendMessage", chat_id=-4001, text="x")
    assert (answer["error_code"], answer["description"]) == (403, f"Forbidden: {reason}")


async def test_a_bot_leaves_a_group(sim: SimClient, api: Call) -> None:
    """LeaveChat works once, and not in a private chat."""
    await sim.write("/start", user=ADA, chat=GROUP)
    assert (await api("leaveChat", chat_id=-4001))["result"] is True
    assert (await api("leaveChat", chat_id=-4001))["error_code"] == 403
    await sim.write("/start", user=ADA)
    assert (await api("leaveChat", chat_id=7))["error_code"] == 400


async def test_a_wrong_place_is_refused(sim: SimClient) -> None:
    """There are five statuses, and groups only have them."""
    await sim.write("/start", user=ADA, chat=GROUP)
    await sim.write("/start", user=ADA)
    with pytest.raises(SimRefusedError, match="status must be one of creator, administrator"):
        await sim.set_member(-4001, ADA, "king")
    with pytest.raises(SimRefusedError, match="is a private chat"):
        await sim.set_member(7, ADA, "left")
