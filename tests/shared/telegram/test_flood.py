"""One sender cannot have all of the bot: what is over the quota is no event, and they know it."""

import asyncio
import json
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from shared.telegram import Notices, build_application
from shared.telegram.updates import flood
from shared.telegram.updates.flood import MOST_IN_HAND, Flood, Quota
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, url_of
from tests.servers import RedisServer
from tests.shared.telegram import held_bot
from tests.shared.telegram.a_bot import PUBLISHED, bot, settings_for

if TYPE_CHECKING:
    from shared.telegram.replies.outbox import Outbox


TOO_MUCH = Notices().too_much


class Told:
    """Notes whom it was to tell."""

    def __init__(self) -> None:
        self.chats: list[int] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def tell(self, chat_id: int, text: str) -> bool:
        """Note a chat."""
        assert text == TOO_MUCH
        self.chats.append(chat_id)
        await self.answers.wait()
        return True


def gate(messages: int, size: int) -> tuple[Flood, Told]:
    """Return a gate and what it told."""
    outbox = Told()
    return Flood(Quota(messages, size), cast("Outbox", outbox), lambda _: Notices()), outbox


async def takes(flooding: Flood, update: dict[str, Any], in_hand: int = 0) -> bool:
    """Whether a gate lets an update in; its sender is told where it does not."""
    if await flooding.admits(update, in_hand):
        return True
    await flooding.turn_away(update)
    return False


def update(user: int, text: str = "/command x", **fields: Any) -> dict[str, Any]:
    """Return an update as Telegram writes it, or nearly so."""
    sender = {"id": user, "is_bot": False}
    chat = {"id": user, "type": "private"}
    return {"update_id": 1, "message": {"from": sender, "chat": chat, "text": text, **fields}}


async def test_a_sender_over_the_quota_is_told_once_and_others_are_not_held_back() -> None:
    """What comes after the limit is not taken, in this minute; another sender's is."""
    flooding, outbox = gate(5, 0)
    taken = [await takes(flooding, update(7)) for _ in range(50)]
    assert sum(taken) == 5
    assert outbox.chats == [7]
    assert await takes(flooding, update(8))


@pytest.mark.parametrize("quota", [(1, 0), (0, 200)], ids=["messages", "bytes"])
async def test_the_quota_is_what_the_settings_say(quota: tuple[int, int]) -> None:
    """Each of the two by itself: the second message is over it."""
    variables = dict(zip(("messages_per_minute", "bytes_per_day"), quota, strict=True))
    settings = settings_for("http://127.0.0.1:1", "redis://127.0.0.1:1", **variables)
    flooding = build_application("a_bot", settings).flood
    assert [await flooding.admits(update(7), 0) for _ in range(2)] == [True, False]


async def test_the_day_has_an_end_too() -> None:
    """Few but large messages use up the bytes; a small one does not fit either, for a while."""
    flooding, outbox = gate(0, 30_000)
    taken = [await takes(flooding, update(7, "x" * 9000)) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert not await takes(flooding, update(7))
    assert outbox.chats == [7]


async def test_what_is_in_hand_has_an_end_too() -> None:
    """Slow handlers: no more than a minute's messages, or a quarter of all that is parked."""
    for quota, most in ((20, 20), (1000, MOST_IN_HAND), (0, MOST_IN_HAND)):
        flooding, outbox = gate(quota, 1_000_000)
        assert await takes(flooding, update(7), most - 1)
        assert not await takes(flooding, update(7), most)
        assert not await takes(flooding, update(7), most * 3 // 4 + 1)
        assert outbox.chats == [7]
        assert await takes(flooding, update(7), most // 2)
        assert not await takes(flooding, update(7), most)
        assert outbox.chats == [7, 7]
    assert await takes(gate(0, 0)[0], update(7), 2 * MOST_IN_HAND)


async def test_only_the_first_waits_until_its_sender_was_told() -> None:
    """Whose notice takes long must not fill all that a bot has in hand with what is turned away."""
    flooding, outbox = gate(1, 0)
    outbox.answers.clear()
    assert [await flooding.admits(update(7), 0) for _ in range(3)] == [True, False, False]
    first = asyncio.create_task(flooding.turn_away(update(7)))
    await eventually(lambda: outbox.chats == [7])
    await asyncio.wait_for(flooding.turn_away(update(7)), 20)
    assert not first.done()
    outbox.answers.set()
    await first
    assert outbox.chats == [7]


async def test_an_episode_ends_and_the_next_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the bucket has to run out first, or a flood would be told at every drop."""
    monkeypatch.setattr(flood, "MINUTE", 2.0)
    flooding, outbox = gate(20, 0)
    taken = 0
    for _ in range(2):
        while await takes(flooding, update(7)):
            taken += 1
        while not await takes(flooding, update(7)):
            await asyncio.sleep(0.01)
        taken += 1
    assert outbox.chats == [7, 7]
    assert taken < 20 + 2 * 7


@pytest.mark.parametrize(
    ("odd", "chat"),
    [
        ({"update_id": 1}, None),
        ({"update_id": 1, "message": None}, None),
        ({"update_id": 1, "message": {"from": {"id": "seven"}, "chat": []}}, None),
        (update(7, "\ud800"), 7),
        (update(7, sender_chat={"id": -100, "type": "channel"}), 7),
        ({"update_id": 1, "callback_query": {"from": {"id": 9}, "data": "x"}}, 9),
    ],
)
async def test_odd_updates_do_no_harm(odd: dict[str, Any], chat: int | None) -> None:
    """Whatever its shape, an update is counted or let through."""
    flooding, outbox = gate(1, 1_000_000)
    assert await takes(flooding, odd)
    assert await takes(flooding, odd) is (chat is None)
    assert outbox.chats == ([] if chat is None else [chat])


async def test_nobody_is_remembered_for_ever() -> None:
    """A crowd of senders costs as much memory as the most that are remembered, and no more."""
    flooding, _ = gate(5, 1000)
    tracemalloc.start()
    try:
        for user in range(1, 3 * flood.MOST_SENDERS):
            await takes(flooding, update(user))
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(flooding._senders) == flood.MOST_SENDERS
    assert size < flood.MOST_SENDERS * 2000


async def test_a_flood_is_answered_once_and_others_are_served(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """A bot with a quota: of 300 commands a few are events, and one answer says why."""
    service = bot(redis_server.url, url_of(sim))
    service.variables["MESSAGES_PER_MINUTE"] = "10"
    with service:
        await asyncio.to_thread(service.wait_for, health_of(service))
        await telegram.write_many("/command {n}", count=300, first_user=7)
        written = await telegram.write("/command other", user=8)
        answer = await telegram.wait_for_answer(8, after=written.message_id, timeout=30)
        assert answer.text == "Command published!"
        await eventually(lambda: service.log.count("sender is over the quota") == 1)
        entries = redis_server.client().xrange("command_received")
        events = [json.loads(fields[b"__data__"])["data"]["command"] for _, fields in entries]
        assert events[:10] == [f"/command {n}" for n in range(10)]
        assert events[-1] == "/command other"
        assert len(events) < 30
        notices = [message for message in await telegram.messages(7) if message.text == TOO_MUCH]
        assert len(notices) == 1


async def test_a_backlog_of_slow_updates_holds_nobody_up(
    redis_server: RedisServer, sim: Service, telegram: SimClient, tmp_path: Path
) -> None:
    """2,000 of one sender wait, whose handler does not end: no more than a part of them is in hand.

    Others are answered meanwhile, and what was taken happens once and in order.
    """
    held_by = tmp_path / "held"
    held_by.touch()
    await telegram.write_many("/hold {n}", count=2000, users=1, first_user=7)
    service = held_bot.bot(redis_server.url, url_of(sim), held_by)
    service.variables["MESSAGES_PER_MINUTE"] = "1000"
    with service:
        for user in range(100, 109):
            written = await telegram.write("/command other", user=user)
            answer = await telegram.wait_for_answer(user, after=written.message_id, timeout=60)
            assert answer.text == PUBLISHED
        parked = redis_server.client().hlen("{telegram_update}:parked:42")
        assert parked <= MOST_IN_HAND
        held_by.unlink()

        def held() -> list[str]:
            entries = redis_server.client().xrange("command_received")
            data = [json.loads(fields[b"__data__"])["data"] for _, fields in entries]
            return [event["command"] for event in data if event["user_id"] == 7]

        await eventually(lambda: len(held()) >= MOST_IN_HAND, seconds=60)
        assert await asyncio.to_thread(service.terminate) == 0
    assert held() == [f"/hold {n}" for n in range(MOST_IN_HAND)]
    notices = [message for message in await telegram.messages(7) if message.text == TOO_MUCH]
    assert len(notices) == 1
