"""One person writes until Redis is full: everybody's commands are in the stream or refused."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from shared.telegram.broker import close_broker, connect_broker, redis_health
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, get_status, health_of, simulator, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot

LARGEST = "/command " + "語" * 4087
"""An entry of 25 kB: the longest text there is, and its one argument."""
FLOOD = 400
FAILED, PUBLISHED = "Failed to send command.", "Command published!"
LETTERS = "{command_received}.dlq"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server that 400 of the largest commands fill."""
    with RedisServer("--maxmemory", "7mb") as server:
        yield server


@pytest.fixture
def sim() -> Iterator[Service]:
    """A simulator that lets a chat have as many answers as it is sent."""
    with simulator(limits=False) as sim:
        yield sim


@pytest.fixture
async def running(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> AsyncIterator[Service]:
    """A healthy bot without a quota, which would hold the flood off."""
    service = bot(redis_server.url, url_of(sim))
    service.variables["REPLIES_PER_SECOND"] = "0"
    with service:
        await asyncio.to_thread(service.wait_for, health_of(service))
        yield service


def events(server: RedisServer) -> list[str]:
    """Return the id of each event in the stream."""
    entries = server.client().xrange("command_received")
    return [json.loads(fields[b"__data__"])["id"] for _, fields in entries]


def refused(server: RedisServer) -> list[str]:
    """Return the id of each event in the dead letters."""
    return [fields[b"event_id"].decode() for _, fields in server.client().xrange(LETTERS)]


def outcomes(server: RedisServer) -> int:
    """Return how many there are of both: to read 6 MB at each look would fill the server anew."""
    client = server.client()
    return int(client.xlen("command_received")) + int(client.xlen(LETTERS))


async def answers(telegram: SimClient, user: int) -> Counter[str]:
    """Return how often a user was sent each text."""
    return Counter(message.text for message in await telegram.messages(user) if message.from_bot)


async def test_health_tells_how_full_redis_is(redis_server: RedisServer) -> None:
    """Whoever looks sees it grow; it is red before the first command is refused."""
    await connect_broker(redis_server.url, "a_bot")
    try:
        writes, details = await redis_health()
        assert (writes, details["redis_writable"]) == (True, True)
        assert 0 < details["redis_memory_used"] < 1
        redis_server.client().config_set("maxmemory", 1)
        writes, details = await redis_health()
        assert (writes, details["redis_writable"]) == (False, False)
        assert details["redis_memory_used"] > 1
    finally:
        await close_broker()


@pytest.mark.timeout(300)  # refusals wait for 15 s, on a machine that does much else
async def test_everybody_is_told_and_nothing_is_lost_or_doubled(
    running: Service, telegram: SimClient, redis_server: RedisServer, sim: Service
) -> None:
    """The flood fills Redis, the bot is killed amid the refusals, then room is made."""
    client = redis_server.client()
    client.xgroup_create("command_received", "backend", id="0", mkstream=True)
    await telegram.write_many(LARGEST, count=FLOOD, first_user=7)
    await telegram.write_many("/command small {n}", count=20, users=20, first_user=101)
    await eventually(lambda: get_status(health_of(running)) == 503, seconds=60)
    await eventually(lambda: redis_server.client().xlen(LETTERS) > 20, seconds=60)
    running.kill()
    running.start()
    await eventually(lambda: outcomes(redis_server) == FLOOD + 20, seconds=120)
    gone = refused(redis_server)
    assert not set(gone) & set(events(redis_server))
    assert len(set(gone)) == len(gone)
    assert len(set(events(redis_server))) == len(events(redis_server))
    assert len(events(redis_server)) > 50

    async def everybody_is_told() -> bool:
        counts = [await answers(telegram, user) for user in (7, *range(101, 121))]
        failures = sum(count[FAILED] for count in counts)
        return failures >= len(gone) and all(count[FAILED] or count[PUBLISHED] for count in counts)

    async with asyncio.timeout(60):
        while not await everybody_is_told():
            await asyncio.sleep(0.2)

    # The backend comes back and finishes with all of it: what is written now gets in.
    client.xreadgroup("backend", "b", {"command_received": ">"}, noack=True)
    written = await telegram.write("/command after", user=200)
    answer = await telegram.wait_for_answer(200, after=written.message_id, timeout=30)
    assert answer.text == PUBLISHED
    await eventually(lambda: get_status(health_of(running)) == 200)
    assert sorted(refused(redis_server)) == sorted(gone)


async def test_a_bot_that_starts_while_redis_is_full_refuses_and_tells(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """It polls, because somebody has to tell those who write; it is not healthy."""
    redis_server.client().config_set("maxmemory", 1)
    with bot(redis_server.url, url_of(sim)) as service:
        written = await telegram.write("/command too late", user=9)
        delayed = await telegram.wait_for_answer(9, after=written.message_id, timeout=30)
        assert "delayed" in delayed.text
        answer = await telegram.wait_for_answer(9, after=delayed.message_id, timeout=60)
        assert answer.text == FAILED
        await eventually(lambda: get_status(health_of(service)) == 503)
        assert events(redis_server) == []
        await eventually(lambda: len(refused(redis_server)) == 1)
