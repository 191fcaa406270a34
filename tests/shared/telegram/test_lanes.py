"""One user's updates one after the other, different users' side by side, a slow one alone."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from shared.generated.events import TryLaterError, telegram_update
from shared.telegram.updates.lanes import Lanes, Work
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, simulator, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import PUBLISHED, WAITED, bot

KEPT = "Something went wrong on my side."


@pytest.fixture
def lanes() -> Lanes:
    """Lanes of this test alone."""
    return Lanes()


async def turns(count: int = 5) -> None:
    """Let whatever can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lane_does_one_after_the_other_and_others_do_not_wait(lanes: Lanes) -> None:
    """What is under way counts as in it; and a lane that was empty begins anew."""
    done: list[str] = []
    gate = asyncio.Event()

    def note(text: str) -> Work:
        async def work() -> None:
            done.append(text)

        return work

    async def slow() -> None:
        await gate.wait()
        done.append("slow")

    for lane, work in ((7, slow), (7, note("after")), (7, note("last")), (8, note("other"))):
        lanes.put(lane, work)
    for _ in range(2):
        lanes.put(None, note("free"))
    assert [lanes.length(lane) for lane in (7, 8, 9, None)] == [3, 1, 0, 0]
    await turns()
    assert done == ["other", "free", "free"]
    assert [lanes.length(lane) for lane in (7, 8)] == [3, 0]
    gate.set()
    await turns()
    assert done[3:] == ["slow", "after", "last"]
    lanes.put(7, note("again"))
    await turns()
    assert done[6:] == ["again"]
    assert lanes.length(7) == 0


async def test_who_waits_has_what_becomes_of_it(lanes: Lanes) -> None:
    """Its end, or what it raises."""

    async def fail() -> None:
        raise ValueError("on purpose")

    await asyncio.wait_for(lanes.run(7, turns), 1)
    with pytest.raises(ValueError, match="on purpose"):
        await asyncio.wait_for(lanes.run(7, fail), 1)


@pytest.mark.parametrize("error", [None, ValueError])
async def test_one_who_waits_no_more_takes_nothing_from_the_lane(
    lanes: Lanes, error: type[Exception] | None
) -> None:
    """What was not begun is not done; what was goes on, and so does what is behind it."""
    begun: list[str] = []
    gate = asyncio.Event()

    def work(name: str) -> Work:
        async def do() -> None:
            begun.append(name)
            await gate.wait()
            if error is not None:
                raise error(name)

        return do

    waiting = [asyncio.create_task(lanes.run(7, work(name))) for name in "abc"]
    await turns()
    for task in waiting[:2]:
        task.cancel()
    await turns()
    gate.set()
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1)
    assert begun == ["a", "c"]
    assert [type(each) for each in outcomes] == [*[asyncio.CancelledError] * 2, error or type(None)]


async def test_lanes_that_are_closed_tell_who_waits(lanes: Lanes) -> None:
    """What is under way is given up, and has ended; whoever waits for it can try again later."""
    begun, ended = asyncio.Event(), []

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await turns()
            ended.append(True)

    waiting = asyncio.create_task(lanes.run(7, endless))
    await begun.wait()
    await lanes.close()
    assert ended == [True]
    with pytest.raises(TryLaterError):
        await asyncio.wait_for(waiting, 1)


async def test_a_lane_is_kept_until_it_is_done(lanes: Lanes) -> None:
    """A task that nobody holds would be gone with the next garbage; one that is done goes."""
    there: list[weakref.ref[Any]] = []

    async def work() -> None:
        waiting = asyncio.get_running_loop().create_future()
        there.extend((weakref.ref(waiting), weakref.ref(asyncio.current_task())))
        await waiting

    lanes.put(7, work)
    await turns()
    gc.collect()
    waiting = there[0]()
    assert waiting is not None
    waiting.set_result(None)
    del waiting
    await turns()
    gc.collect()
    assert [each() for each in there] == [None, None]


@pytest.fixture
def sim() -> Iterator[Service]:
    """A simulator that lets a chat have as many answers as it is sent."""
    with simulator(limits=False) as sim:
        yield sim


def limitless(server: RedisServer, sim: Service, **variables: str) -> Service:
    """Return a bot whose answers wait for nothing."""
    service = bot(server.url, url_of(sim))
    service.variables |= {"REPLIES_PER_SECOND": "0", **variables}
    return service


@pytest.fixture
async def running(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> AsyncIterator[Service]:
    """A healthy bot of this test alone."""
    with limitless(redis_server, sim) as service:
        await asyncio.to_thread(service.wait_for, health_of(service))
        yield service


async def answers(telegram: SimClient, user: int) -> list[str]:
    """Return what a user was sent."""
    return [message.text for message in await telegram.messages(user) if message.from_bot]


def commands(server: RedisServer) -> list[str]:
    """Return the text of each command in the stream."""
    entries = server.client().xrange("command_received")
    return [json.loads(fields[b"__data__"])["data"]["command"] for _, fields in entries]


async def confirmed(telegram: SimClient) -> None:
    """Return when Telegram keeps nothing for the bot any more."""
    async with asyncio.timeout(90):
        while (await telegram.overview()).bot.pending:
            await asyncio.sleep(0.05)


async def test_a_slow_handler_delays_nobody_else(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """Others write after it and one by one: all are published and answered before it is done.

    Telegram keeps none of it meanwhile: the slow one is in Redis.
    """
    await telegram.write("/wait 10", user=7)
    for user in range(100, 108):
        written = await telegram.write(f"/command {user}", user=user)
        assert (await telegram.wait_for_answer(user, after=written.message_id)).text == PUBLISHED
    await confirmed(telegram)
    assert await answers(telegram, 7) == []
    assert (await telegram.wait_for_answer(7, timeout=30)).text == WAITED

    await confirmed(telegram)
    assert len(commands(redis_server)) == 8


async def test_one_users_backlog_is_handled_in_order(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """What a user wrote after a slow one waits for it; what another wrote does not."""
    for text, user in (("/wait 3", 7), ("/command after", 7), ("/help", 7), ("/command b", 8)):
        await telegram.write(text, user=user)
    with limitless(redis_server, sim):
        answer = await telegram.wait_for_answer(8, timeout=60)
        assert answer.text == PUBLISHED
        assert await answers(telegram, 7) == []
        async with asyncio.timeout(90):
            while len(await answers(telegram, 7)) < 3:
                await asyncio.sleep(0.05)
        first, second, third = await answers(telegram, 7)
        assert (first, second) == (WAITED, PUBLISHED)
        assert third.startswith("Here is what I understand")
        assert commands(redis_server) == ["/command b", "/command after"]


async def test_what_was_finished_behind_a_slow_one_is_not_doubled_by_a_kill(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """Telegram repeats all from the slow one on; what was published is recognised."""
    await telegram.write("/wait 6", user=7)
    await telegram.write_many("/command {n}", count=150, users=50, first_user=100)
    await eventually(lambda: len(commands(redis_server)) >= 99, seconds=90)
    await asyncio.to_thread(running.kill)
    running.start()
    assert (await telegram.wait_for_answer(7, timeout=90)).text == WAITED
    await eventually(lambda: len(commands(redis_server)) >= 150, seconds=90)
    await confirmed(telegram)
    assert sorted(commands(redis_server)) == sorted(f"/command {n}" for n in range(150))


async def test_a_handler_without_end_is_ended_and_its_update_kept(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """There is a warning before, the chat is told, and the user's next update is handled."""
    with limitless(redis_server, sim, HANDLER_TIMEOUT="2") as service:
        await telegram.write("/wait 3600", user=7)
        await telegram.write("/command next", user=7)
        async with asyncio.timeout(90):
            while len(await answers(telegram, 7)) < 2:
                await asyncio.sleep(0.05)
        notice, next_answer = await answers(telegram, 7)
        assert notice.startswith(KEPT)
        assert next_answer == PUBLISHED
        ((_, letter),) = redis_server.client().xrange(telegram_update.dead_letters)
        assert letter[b"reason"] == b"TooSlowError: handle_wait took longer than 2 s"
        warnings = [line for line in service.log.splitlines() if "handler is slow" in line]
        assert [json.loads(line)["handler"] for line in warnings] == ["handle_wait"]


async def test_the_time_that_redis_takes_is_not_the_handlers(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """A handler that waits for Redis for longer than it may run is not ended."""
    with limitless(redis_server, sim, HANDLER_TIMEOUT="1") as service:
        await eventually(lambda: '"polling"' in service.log)
        redis_server.kill()
        written = await telegram.write("/command held", user=7)
        delayed = await telegram.wait_for_answer(7, after=written.message_id, timeout=20)
        assert "delayed" in delayed.text
        redis_server.start()
        published = await telegram.wait_for_answer(7, after=delayed.message_id, timeout=20)
        assert published.text == PUBLISHED
        assert commands(redis_server) == ["/command held"]
        assert "handler is slow" not in service.log
