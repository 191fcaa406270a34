"""More slow handlers than Telegram shows updates: others go on, none is lost or doubled."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.generated.events import telegram_update
from shared.metrics import exposition
from shared.telegram import Notices
from shared.telegram.broker import close_broker, connect_broker
from shared.telegram.updates.parking import FRESH, MOST, Parked, Parking
from shared.telegram.updates.window import CAPACITY, Window
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, simulator, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import PUBLISHED
from tests.shared.telegram.held_bot import bot

SLOW = range(100, 250)
"""Users whose handlers are slow: half as many again as Telegram shows updates."""
PARKED = "{telegram_update}:parked:42"


@pytest.fixture
def sim() -> Iterator[Service]:
    """A simulator that lets a chat have as many answers as it is sent."""
    with simulator(limits=False) as sim:
        yield sim


@pytest.fixture
def held_by(tmp_path: Path) -> Path:
    """The file for which slow handlers wait that it goes."""
    path = tmp_path / "held"
    path.touch()
    return path


def commands(server: RedisServer) -> list[tuple[int, str]]:
    """Return user and text of each command in the stream."""
    entries = server.client().xrange("command_received")
    data = [json.loads(fields[b"__data__"])["data"] for _, fields in entries]
    return [(event["user_id"], event["command"]) for event in data]


def parked(server: RedisServer) -> int:
    """Return how many updates stand in Redis."""
    return int(server.client().hlen(PARKED))


async def answered(telegram: SimClient, user: int) -> None:
    """Return when a user has written and was answered, twice: the second one was fetched later."""
    for number in range(2):
        written = await telegram.write(f"/command {number}", user=user)
        answer = await telegram.wait_for_answer(user, after=written.message_id, timeout=60)
        assert answer.text == PUBLISHED


async def test_many_slow_handlers_delay_nobody_else_and_survive_a_kill(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """Somebody else is answered meanwhile, before a SIGKILL and after it.

    At the end each has happened once, and what its sender wrote behind it came behind it.
    """
    writings: list[dict[str, Any]] = [{"user": user, "text": "/hold"} for user in SLOW]
    await telegram.write_many(writings=writings)
    await telegram.write("/command behind", user=SLOW[0])
    with bot(redis_server.url, url_of(sim), held_by) as service:
        await answered(telegram, 7)
        assert parked(redis_server) > len(SLOW) - CAPACITY
        await asyncio.to_thread(service.kill)
        service.start()
        await answered(telegram, 8)
        assert {user for user, _ in commands(redis_server)} == {7, 8}
        await asyncio.to_thread(held_by.unlink)
        await eventually(lambda: len(commands(redis_server)) >= len(SLOW) + 5, seconds=60)
        await eventually(lambda: parked(redis_server) == 0)
        async with asyncio.timeout(60):
            while (await telegram.overview()).bot.pending:
                await asyncio.sleep(0.1)
    texts = [text for user, text in commands(redis_server) if user == SLOW[0]]
    assert texts == ["/hold", "/command behind"]
    assert sorted(user for user, text in commands(redis_server) if text == "/hold") == list(SLOW)


async def test_a_stop_gives_parked_updates_to_the_next_bot(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """Those that are not finished within its grace; the exit code is 0."""
    await telegram.write_many("/hold", count=len(SLOW), users=len(SLOW), first_user=SLOW[0])
    with bot(redis_server.url, url_of(sim), held_by) as service:
        await answered(telegram, 7)
        assert await asyncio.to_thread(service.terminate) == 0
        assert commands(redis_server) == [(7, "/command 0"), (7, "/command 1")]
        await asyncio.to_thread(held_by.unlink)
        service.start()
        await eventually(lambda: len(commands(redis_server)) >= len(SLOW) + 2, seconds=60)
        await eventually(lambda: parked(redis_server) == 0)
    assert len(set(commands(redis_server))) == len(commands(redis_server))


async def test_what_was_parked_a_day_ago_is_kept_and_not_handled(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """Nobody knows any more whether its events were published; a person decides."""
    written = await telegram.write("hello", user=9)
    chat = {"id": 9, "type": "private", "first_name": "Ada"}
    sender = {"id": 9, "is_bot": False, "first_name": "Ada"}
    message = {"message_id": 1, "date": 1, "chat": chat, "from": sender, "text": "/command old"}
    update = {"update_id": 5, "message": message}
    entry = json.dumps({"since": time() - FRESH - 1, "update": update})
    redis_server.client().hset(PARKED, "5", entry)
    with bot(redis_server.url, url_of(sim), held_by):
        await eventually(lambda: redis_server.client().xlen(telegram_update.dead_letters) == 1)
        await eventually(lambda: parked(redis_server) == 0)
    ((_, letter),) = redis_server.client().xrange(telegram_update.dead_letters)
    assert letter[b"event_id"] == b"42:5"
    assert letter[b"reason"].startswith(b"it was parked for a day")
    assert commands(redis_server) == []
    answer = await telegram.wait_for_answer(9, after=written.message_id, timeout=30)
    assert answer.text == Notices().kept


@pytest.fixture
async def parking(redis_server: RedisServer) -> AsyncIterator[Parking]:
    """The parked updates of a bot, in a process that is connected."""
    await connect_broker(redis_server.url, "a_bot")
    yield Parking(42)
    await close_broker()


def updates(*ids: int) -> dict[int, Parked]:
    """Return updates that were taken one after the other."""
    return {i: Parked({"update_id": i}, time() + number) for number, i in enumerate(ids)}


async def test_who_comes_next_has_them_in_their_order(parking: Parking) -> None:
    """Those that came first, first, whatever their ids; not those that are in hand already."""
    assert await parking.park(updates(900, 901, 3, 4))
    await parking.finish(901)
    after = Parking(42)
    assert [each.update["update_id"] for each in await after.take_over()] == [900, 3, 4]
    assert await after.take_over() == await Parking(43).take_over() == []


def test_an_update_is_fresh_for_a_day() -> None:
    """Telegram repeats none for longer; and a clock that was put back makes none old."""
    for ago, fresh in ((0, True), (FRESH - 60, True), (FRESH + 60, False), (-3600, True)):
        assert Parked({}, time() - ago).fresh is fresh


async def test_parked_updates_are_counted(parking: Parking, redis_server: RedisServer) -> None:
    """Once they are durable: where Redis is away, and they are tried again, not twice."""

    async def counted() -> float:
        *_, body = await exposition()
        said = re.search(rb'herald_updates_total{outcome="parked"} (\S+)', body)
        return float(said[1]) if said else 0.0

    before = await counted()
    redis_server.kill()
    assert not await parking.park(updates(1, 2))
    redis_server.start()
    assert await parking.park(updates(1, 2))
    assert await counted() == before + 2


async def test_a_thousand_can_be_parked(parking: Parking) -> None:
    """What comes after them stays with Telegram, and the oldest go first."""
    assert await parking.park(updates(*range(MOST)))
    assert parking.room == 0
    window = Window()
    list(window.take(({"update_id": i} for i in range(1, 4)), 0))
    assert list(window.in_hand_for(0, 2)) == [1, 2]
    assert window.in_hand_for(0, parking.room) == window.in_hand_for(60, 2) == {}
    await parking.finish(7)
    assert parking.room == 1


async def test_without_redis_nothing_is_parked(parking: Parking, redis_server: RedisServer) -> None:
    """It is tried again, and what may have been written is taken out when it is finished."""
    redis_server.kill()
    assert not await parking.park(updates(1))
    redis_server.start()
    assert parking.here == {1}
    assert await parking.park(updates(1, 2))
    await parking.finish(1)
    await parking.finish(2)
    assert parked(redis_server) == 0


async def test_a_stop_or_another_holder_is_noticed_while_redis_is_away(
    parking: Parking, redis_server: RedisServer
) -> None:
    """Nobody waits to park behind what is to be taken out, which takes as long as the outage."""
    assert await parking.park(updates(1))
    redis_server.kill()
    finishing = asyncio.create_task(parking.finish(1))
    await asyncio.sleep(0)
    assert not await asyncio.wait_for(parking.park(updates(2)), 20)
    redis_server.start()
    await asyncio.wait_for(finishing, 20)
    assert await parking.park(updates(2))
    assert redis_server.client().hkeys(PARKED) == [b"2"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "no json", "[]", "5", "null", "[" * 5_000, "\x1b[2J"),
        *('{"since": 1}', '{"update": {"update_id": 5}}', '{"since": 1, "update": [5]}'),
        '{"since": "1", "update": {"update_id": 5}}',
        '{"since": 1, "update": {"update_id": 6}}',
        '{"since": 1, "update": {"update_id": 5.0}}',
        f'{{"since": {10**400}, "update": {{"update_id": 5}}}}',
    ],
    ids=lambda text: ascii(text[:40]),
)
async def test_what_nobody_can_read_stays_and_holds_up_nothing(
    parking: Parking, redis_server: RedisServer, text: str
) -> None:
    """Another bot of the stack may write there; and a later release something more."""
    client = redis_server.client()
    client.hset(PARKED, mapping={"5": text, "no id": text, "\u0665": text})
    later = {"since": time(), "update": {"update_id": 7}, "attempts": 2}
    client.hset(PARKED, "7", json.dumps(later))
    with capture_logs() as lines:
        (only,) = await parking.take_over()
    assert only.update == {"update_id": 7}
    assert [line["event"] for line in lines] == ["parked update cannot be read"] * 3
    await parking.finish(7)
    assert client.hlen(PARKED) == 3


async def test_more_than_may_be_parked_are_taken_over(
    parking: Parking, redis_server: RedisServer
) -> None:
    """A bot that was frozen while it parked has written beside another; then none are parked."""
    assert await parking.park(updates(*range(1, MOST + 1)))
    frozen = Parking(42)
    assert await frozen.park(updates(*range(MOST + 1, MOST + 6)))
    after = Parking(42)
    assert len(await after.take_over()) == MOST + 5
    assert after.room == 0
    window = Window()
    list(window.take([{"update_id": 2 * MOST}], 0))
    assert window.in_hand_for(0, after.room) == {}
