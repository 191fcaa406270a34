"""getUpdates keeps the rules of the Bot API server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telegram_sim.client import SimClient

Call = Callable[..., Awaitable[dict[str, Any]]]
DAY = 24 * 3600
CONFLICT = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
    "running"
)


def ids(answer: dict[str, Any]) -> list[int]:
    """Return the numbers of the updates in an answer."""
    return [update["update_id"] for update in answer["result"]]


async def waiting(sim: SimClient, count: int = 1) -> None:
    """Return when so many getUpdates of the bot are in flight."""
    async with asyncio.timeout(20):
        while (await sim.bot()).polls_in_flight != count:
            await asyncio.sleep(0.01)


async def test_updates_stay_until_an_offset_confirms_them(sim: SimClient, api: Call) -> None:
    """Without an offset the same updates come again; an offset forgets everything below it."""
    many = await sim.write_many("/n {n}", count=5)
    first = many.first_update_id
    assert first is not None
    assert ids(await api("getUpdates")) == list(range(first, first + 5))
    assert (await sim.bot()).pending == 5
    assert ids(await api("getUpdates", offset=first + 2)) == [first + 2, first + 3, first + 4]
    bot = await sim.bot()
    assert (bot.pending, bot.confirmed_up_to) == (3, first + 1)


async def test_update_ids_are_sequential_and_start_anywhere(sim: SimClient) -> None:
    """One update's number is one more than the last one's, and the first is not 1."""
    first, second = await sim.write("/a"), await sim.write("/b")
    assert first.update_id is not None
    assert second.update_id == first.update_id + 1
    assert first.update_id > 2_000_000


async def test_a_negative_offset_keeps_only_the_newest(sim: SimClient, api: Call) -> None:
    """offset=-2 forgets all but the last two updates."""
    many = await sim.write_many("/n {n}", count=9)
    last = many.last_update_id
    assert last is not None
    assert ids(await api("getUpdates", offset=-2)) == [last - 1, last]
    assert (await sim.bot()).pending == 2


async def test_an_offset_from_nowhere_confirms_nothing(sim: SimClient, api: Call) -> None:
    """An offset more than ten above the newest update is taken for none."""
    many = await sim.write_many("/n {n}", count=3)
    last = many.last_update_id
    assert last is not None
    assert len(ids(await api("getUpdates", offset=last + 1000))) == 3
    assert ids(await api("getUpdates", offset=last + 5)) == []
    assert (await sim.bot()).pending == 0


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (7, 7), (0, 1), (1000, 100), ("x", 1)])
async def test_the_limit_is_from_1_to_100(
    sim: SimClient, api: Call, asked: object, given: int
) -> None:
    """What is outside comes to the nearest bound, and what is no number counts as 0."""
    await sim.write_many("/n {n}", count=150)
    assert len(ids(await api("getUpdates", limit=asked))) == given


async def test_an_answer_has_at_most_four_megabytes(sim: SimClient, api: Call) -> None:
    """Large updates are spread over several answers."""
    value = {"text": "x" * 100_000}
    for _ in range(50):
        await sim.inject({"message": value})
    assert len(ids(await api("getUpdates"))) == 41


async def test_a_long_poll_is_answered_when_an_update_comes(sim: SimClient, api: Call) -> None:
    """A waiting getUpdates returns as soon as a user writes, with what was written."""
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    written = await sim.write("/start")
    answer = await asyncio.wait_for(poll, 20)
    assert ids(answer) == [written.update_id]
    assert answer["result"][0]["message"]["text"] == "/start"


async def test_updates_that_come_together_go_out_together(sim: SimClient, api: Call) -> None:
    """A burst reaches a waiting getUpdates as one answer."""
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    await sim.write_many("/n {n}", count=20)
    assert len(ids(await asyncio.wait_for(poll, 20))) == 20


@pytest.mark.usefixtures("restored")
async def test_a_long_poll_ends_empty_after_its_timeout(sim: SimClient, api: Call) -> None:
    """Nothing comes: the answer is an empty list, after the timeout and not before."""
    poll = asyncio.create_task(api("getUpdates", timeout=30))
    await waiting(sim)
    await sim.advance(20)
    await asyncio.sleep(0.1)
    assert not poll.done()
    await sim.advance(11)
    assert (await asyncio.wait_for(poll, 20))["result"] == []


@pytest.mark.usefixtures("restored")
async def test_the_longest_long_poll_is_50_seconds(sim: SimClient, api: Call) -> None:
    """A larger timeout is clipped."""
    poll = asyncio.create_task(api("getUpdates", timeout=600))
    await waiting(sim)
    await sim.advance(51)
    assert (await asyncio.wait_for(poll, 20))["result"] == []


async def test_a_newcomer_that_waits_ends_the_older_poll_with_409(
    sim: SimClient, api: Call
) -> None:
    """Nothing pends: the older of two waiting polls gets the conflict, the newcomer the update."""
    older = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    newcomer = asyncio.create_task(api("getUpdates", timeout=50))
    answer = await asyncio.wait_for(older, 20)
    assert answer == {"ok": False, "error_code": 409, "description": CONFLICT}
    written = await sim.write("/start")
    assert ids(await asyncio.wait_for(newcomer, 20)) == [written.update_id]


async def test_two_pollers_both_get_what_is_pending(sim: SimClient, api: Call) -> None:
    """409 is no lock: while updates pend, everybody who asks is given them."""
    await sim.write_many("/n {n}", count=3)
    first, second = await asyncio.gather(
        api("getUpdates", timeout=50), api("getUpdates", timeout=50, offset=-3)
    )
    assert ids(first) == ids(second)
    assert len(ids(first)) == 3


@pytest.mark.usefixtures("restored")
async def test_the_next_conflict_within_three_seconds_is_told_late(
    sim: SimClient, api: Call
) -> None:
    """Of two conflicts in a row the second is answered three seconds later."""
    older = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    middle = asyncio.create_task(api("getUpdates", timeout=50))
    assert (await asyncio.wait_for(older, 20))["error_code"] == 409
    await waiting(sim)
    newest = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim, 2)
    await asyncio.sleep(0.1)
    assert not middle.done()
    await sim.advance(3.1)
    assert (await asyncio.wait_for(middle, 20))["error_code"] == 409
    newest.cancel()


@pytest.mark.usefixtures("restored")
async def test_the_same_offset_within_half_a_second_gives_one_update(
    sim: SimClient, api: Call
) -> None:
    """Who repeats a request in a hurry is given one update only."""
    await sim.write_many("/n {n}", count=5)
    for _ in range(50):  # a machine that is busy may not manage two requests in half a second
        await sim.advance(5)
        begun = time.monotonic()
        first, second = await api("getUpdates"), await api("getUpdates")
        if time.monotonic() - begun < 0.5:
            break
    assert (len(ids(first)), len(ids(second))) == (5, 1)


@pytest.mark.usefixtures("restored")
async def test_the_same_offset_after_half_a_second_gives_all_again(
    sim: SimClient, api: Call
) -> None:
    """Who repeats a request unhurried is given everything."""
    await sim.write_many("/n {n}", count=5)
    await api("getUpdates")
    await sim.advance(0.6)
    assert len(ids(await api("getUpdates"))) == 5


@pytest.mark.usefixtures("restored")
async def test_the_same_offset_within_three_seconds_waits(sim: SimClient, api: Call) -> None:
    """A repeated request with a short timeout waits for three seconds."""
    await api("getUpdates")
    repeated = asyncio.create_task(api("getUpdates"))
    await waiting(sim)
    await asyncio.sleep(0.1)
    assert not repeated.done()
    await sim.advance(3.1)
    assert (await asyncio.wait_for(repeated, 20))["result"] == []


async def test_a_poll_whose_caller_has_gone_waits_no_longer(sim: SimClient, api: Call) -> None:
    """A bot that was killed in a long poll leaves nothing behind."""
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    poll.cancel()
    await waiting(sim, 0)
    written = await sim.write("/start")
    assert ids(await api("getUpdates", offset=1)) == [written.update_id]


async def test_allowed_updates_filter_on_arrival_and_stick(sim: SimClient, api: Call) -> None:
    """What is not allowed when it arrives never comes; the choice holds until another is made."""
    await api("getUpdates", allowed_updates=["callback_query"])
    assert (await sim.write("/lost")).update_id is None
    assert (await api("getUpdates", offset=1))["result"] == []
    await api("getUpdates", offset=2, allowed_updates=[])
    written = await sim.write("/found")
    assert ids(await api("getUpdates", offset=3)) == [written.update_id]
    assert (await sim.bot()).raw["filtered"] == 1


async def test_unasked_kinds_come_only_when_allowed(sim: SimClient, api: Call) -> None:
    """chat_member, message_reaction and message_reaction_count are off until they are named."""
    await api("getMe")
    change = {"chat_member": {"chat": {"id": -5}, "date": int((await sim.overview()).now)}}
    assert await sim.inject(change) is None
    await api("getUpdates", allowed_updates=["chat_member", "message"])
    assert await sim.inject(change) is not None


@pytest.mark.parametrize("nonsense", ["", "{", '{"a":1}', "[1]", "null"])
async def test_nonsense_in_allowed_updates_changes_nothing(
    sim: SimClient, api: Call, nonsense: str
) -> None:
    """What cannot be understood is ignored."""
    await api("getUpdates", allowed_updates=["message"])
    await api("getUpdates", offset=5, allowed_updates=nonsense)
    assert (await sim.bot()).raw["allowed_updates"] == ["message"]


@pytest.mark.usefixtures("restored")
async def test_an_update_lives_until_24_hours_after_its_message(sim: SimClient, api: Call) -> None:
    """The message's date counts: an older message expires earlier, a day-old one never arrives."""
    now = int((await sim.overview()).now)
    old = await sim.write("/old", date=now - 20 * 3600)
    new = await sim.write("/new")
    assert (await sim.write("/ancient", date=now - DAY)).update_id is None
    assert ids(await api("getUpdates")) == [old.update_id, new.update_id]
    await sim.advance(4 * 3600 + 60)
    assert ids(await api("getUpdates")) == [new.update_id]
    await sim.advance(20 * 3600)
    assert ids(await api("getUpdates", offset=1)) == []
    assert (await sim.bot()).raw["expired"] == 3


@pytest.mark.usefixtures("restored")
async def test_a_callback_query_lives_for_150_seconds(sim: SimClient, api: Call) -> None:
    """A pressed button is of no use after a while."""
    update_id = await sim.inject({"callback_query": {"id": "1", "from": {"id": 7}}})
    assert ids(await api("getUpdates")) == [update_id]
    await sim.advance(152)
    assert ids(await api("getUpdates", offset=1)) == []


@pytest.mark.usefixtures("restored")
async def test_numbers_go_on_after_six_quiet_days(sim: SimClient) -> None:
    """A bot that is little used keeps its row of numbers."""
    first = (await sim.write("/a")).update_id
    await sim.advance(6 * DAY)
    assert first is not None
    assert (await sim.write("/b")).update_id == first + 1


@pytest.mark.usefixtures("restored")
async def test_numbers_restart_at_random_after_a_quiet_week(sim: SimClient) -> None:
    """A high-water mark of update numbers fails after a quiet week."""
    first = (await sim.write("/a")).update_id
    await sim.advance(8 * DAY)
    second = (await sim.write("/b")).update_id
    assert first is not None
    assert second is not None
    assert abs(second - first) > 1


async def test_a_webhook_refuses_get_updates(sim: SimClient, api: Call) -> None:
    """With a webhook set, getUpdates is a conflict."""
    await api("setWebhook", url=f"{sim.base_url}/nowhere")
    answer = await api("getUpdates")
    assert answer["error_code"] == 409
    assert answer["description"].startswith("Conflict: can't use getUpdates method while webhook")
    await api("deleteWebhook")
    assert (await api("getUpdates", offset=1))["ok"]


async def test_set_webhook_ends_a_waiting_poll(sim: SimClient, api: Call) -> None:
    """The waiting getUpdates gets the conflict that names setWebhook."""
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await waiting(sim)
    await api("setWebhook", url=f"{sim.base_url}/nowhere")
    answer = await asyncio.wait_for(poll, 20)
    assert answer["description"] == "Conflict: terminated by setWebhook request"


async def test_the_queue_holds_100_000_updates(sim: SimClient, api: Call) -> None:
    """What comes after that is lost, as Telegram loses it."""
    many = await sim.write_many("/n {n}", count=100_000, users=50)
    assert many.updates == 100_000
    assert (await sim.write("/one_too_many")).update_id is None
    answer = await api("getUpdates", offset=many.last_update_id)
    assert ids(answer) == [many.last_update_id]
    bot = await sim.bot()
    assert (bot.pending, bot.raw["refused"]) == (1, 1)
