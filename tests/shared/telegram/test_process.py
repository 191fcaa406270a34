"""The process: what it says and how it exits when its surroundings are not what it needs."""

import asyncio
from collections.abc import Callable

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import TOKEN, Service, health_of, url_of
from tests.servers import RedisServer, free_port
from tests.shared.telegram.a_bot import bot

NOWHERE = "http://127.0.0.1:1"


def ended(service: Service) -> Callable[[], bool]:
    """Return a condition: the process has exited."""
    return lambda: service.exit_code is not None


@pytest.mark.parametrize("name", ["TELEGRAM_BOT_TOKEN", "REDIS_URL"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_missing_variable_is_one_line_and_exit_78(name: str, how: str) -> None:
    """The line names the variable and where to set it; there is no traceback."""
    starting = bot("redis://127.0.0.1:1", NOWHERE)
    if how == "empty":
        starting.variables[name] = ""
    else:
        del starting.variables[name]
    with starting as running:
        assert running.wait() == 78
        assert running.log == f"a_bot: {name} is missing: set it in .env or the environment\n"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("REDIS_URL", "localhost:6379", "REDIS_URL is wrong: write redis://host:port"),
        ("TELEGRAM_API_URL", "telegram", "TELEGRAM_API_URL is wrong: write http://host:port"),
        ("HEALTH_PORT", "no number", "HEALTH_PORT is wrong: Input should be a valid integer"),
        ("TELEGRAM_BOT_TOKEN_FILE", "/nowhere", "they are both set"),
    ],
)
def test_a_wrong_variable_is_one_line_and_exit_78(name: str, value: str, reason: str) -> None:
    """The line names the variable and what is wrong with it, never a secret's value."""
    starting = bot("redis://127.0.0.1:1", NOWHERE)
    starting.variables[name] = value
    with starting as running:
        assert running.wait() == 78
        assert running.log.count("\n") == 1
        if not name.endswith("_FILE"):
            assert reason in running.log
        assert TOKEN not in running.log


async def test_a_wrong_token_is_one_line_and_exit_78_without_a_storm(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """Telegram's 401 ends the bot at once: it asked once, and says what to do."""
    starting = bot(redis_server.url, url_of(sim))
    starting.variables["TELEGRAM_BOT_TOKEN"] = "42:another-token-that-nobody-has-given-out"
    with starting as running:
        assert await asyncio.to_thread(running.wait) == 78
        last = running.log.splitlines()[-1]
        assert last.startswith("a_bot: TELEGRAM_BOT_TOKEN is wrong: Telegram does not know it")
        assert "Traceback" not in running.log


async def test_redis_away_at_start_is_waited_for(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """The bot says once that it waits, does not exit, and works as soon as Redis is there."""
    redis_server.kill()
    with bot(redis_server.url, url_of(sim)) as running:
        await eventually(lambda: "redis unavailable" in running.log)
        await asyncio.sleep(1.5)
        assert running.exit_code is None
        assert running.log.count("redis unavailable") == 1
        redis_server.start()
        await asyncio.to_thread(running.wait_for, health_of(running))
        written = await telegram.write("/command test", user=1)
        answer = await telegram.wait_for_answer(1, after=written.message_id)
        assert answer.text == "Command published!"


async def test_telegram_away_at_start_is_waited_for(redis_server: RedisServer) -> None:
    """An unreachable Bot API is said once and tried again; SIGTERM still ends the bot with 0."""
    with bot(redis_server.url, f"http://127.0.0.1:{free_port()}") as running:
        await eventually(lambda: "waiting for Telegram" in running.log)
        await asyncio.sleep(1.5)
        assert running.exit_code is None
        assert running.log.count("waiting for Telegram") == 1
        assert await asyncio.to_thread(running.terminate) == 0


async def test_sigterm_while_redis_is_away_exits_0(redis_server: RedisServer) -> None:
    """A bot that waits for Redis ends cleanly when it is told to."""
    redis_server.kill()
    with bot(redis_server.url, NOWHERE) as running:
        await eventually(lambda: "redis unavailable" in running.log)
        assert await asyncio.to_thread(running.terminate) == 0


async def test_sigterm_confirms_what_is_published(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """A stopped bot has confirmed its last batch, so its successor is given nothing twice."""
    with bot(redis_server.url, url_of(sim)) as running:
        await asyncio.to_thread(running.wait_for, health_of(running))
        sent = await telegram.write_many("/command {n}", count=250, users=5)
        client = redis_server.client()
        await eventually(lambda: client.xlen("command_received") == sent.updates)
        assert await asyncio.to_thread(running.terminate) == 0
    overview = await telegram.overview()
    assert overview.bot.pending == 0
    assert client.xlen("command_received") == 250


async def test_no_log_line_holds_the_token(
    redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """Not even at DEBUG, where libraries log every URL, nor when a request fails."""
    starting = bot(redis_server.url, url_of(sim))
    starting.variables["LOG_LEVEL"] = "DEBUG"
    with starting as running:
        await asyncio.to_thread(running.wait_for, health_of(running))
        written = await telegram.write("/command secret words", user=1)
        await telegram.wait_for_answer(1, after=written.message_id)
        sim.kill()
        await eventually(lambda: "getUpdates fails" in running.log)
        assert await asyncio.to_thread(running.terminate) == 0
        assert TOKEN not in running.log
        assert TOKEN.split(":")[1] not in running.log
        assert "secret words" not in running.log


async def test_a_taken_health_port_is_one_line_and_exit_78(
    redis_server: RedisServer, sim: Service
) -> None:
    """The line names the variable and the port."""
    starting = bot(redis_server.url, url_of(sim))
    starting.variables["HEALTH_PORT"] = sim.variables["SIM_PORT"]
    starting.variables["HEALTH_HOST"] = "127.0.0.1"
    with starting as running:
        assert await asyncio.to_thread(running.wait) == 78
        assert f"HEALTH_PORT is {sim.variables['SIM_PORT']}, which cannot be used" in running.log
