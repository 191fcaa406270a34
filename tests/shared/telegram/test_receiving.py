"""Updates that Telegram brings: answered when they are durable, whatever dies meanwhile."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.generated.events import telegram_update
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, simulator, url_of
from tests.servers import RedisServer, free_port
from tests.shared.telegram.a_bot import PUBLISHED
from tests.shared.telegram.brought import (
    KEPT,
    SECRET,
    Stream,
    ask,
    bot,
    bring,
    bring_to,
    judge,
    polling,
    published,
)
from tests.shared.telegram.test_standby import LOSSES, role

SET = '"webhook set"'
PARKED = "{telegram_update}:parked:42"
BURST, USERS = 400, 80
"""Commands that are written at once, and by how many: each chat has one under way."""


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


@pytest.fixture
def brought(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> Iterator[Service]:
    """A bot to whom updates are brought, once it has said so to Telegram."""
    with bot(redis_server.url, url_of(sim), held_by) as service:
        service.wait_for(health_of(service))
        while SET not in service.log:
            time.sleep(0.05)
        yield service


def message(update_id: int, text: str, user: int = 7) -> bytes:
    """Return an update as Telegram brings it."""
    person = {"id": user, "is_bot": False, "first_name": "Ada"}
    content = {
        "message_id": update_id,
        "date": int(time.time()),
        "chat": {"id": user, "type": "private", "first_name": "Ada"},
        "from": person,
        "text": text,
    }
    return json.dumps({"update_id": update_id, "message": content}).encode()


async def answered(telegram: SimClient, text: str, user: int) -> None:
    """Return when a user has written and was answered."""
    written = await telegram.write(text, user=user)
    answer = await telegram.wait_for_answer(user, after=written.message_id, timeout=30)
    assert answer.text == PUBLISHED


async def settled(telegram: SimClient) -> None:
    """Return when Telegram has nothing more to bring."""
    async with asyncio.timeout(30):
        while (await telegram.bot()).pending:
            await asyncio.sleep(0.05)


async def replies(service: Service, telegram: SimClient, user: int) -> list[str]:
    """Return what a bot has answered a user, once it has been stopped and has sent all of it."""
    assert await asyncio.to_thread(service.terminate) == 0
    return [each.text for each in await telegram.messages(user) if each.from_bot]


async def test_telegram_brings_updates_and_is_never_asked_for_them(
    brought: Service, sim: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """It is told where to, for which kinds, and that what pends is to be kept."""
    await answered(telegram, "/command now", 7)
    await settled(telegram)
    about = await ask(url_of(sim), "getWebhookInfo")
    assert about["url"] == brought.variables["WEBHOOK_URL"]
    assert (about["allowed_updates"], about["max_connections"]) == (["message"], 100)
    assert (await telegram.bot()).polls == 0
    assert role(brought) == "active"
    assert [text for _, _, text in published(redis_server)] == ["/command now"]


async def test_nobody_but_telegram_is_let_in(
    brought: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """What has no secret, another one, another path, another method or a huge body is refused."""
    update = message(1, "/command from nobody")
    other = dict.fromkeys(SECRET, "a" * 64)
    odd = dict.fromkeys(SECRET, "ÿ")
    statuses = [
        (await bring(brought, update, {}))[0],
        (await bring(brought, update, other))[0],
        (await bring(brought, update, odd))[0],
        (await bring(brought, b"", SECRET, method="GET"))[0],
        (await bring(brought, update, SECRET, path="/telegram/other"))[0],
        (await bring(brought, b"x" * 1024 * 1024 + update, SECRET))[0],
        (await bring(brought, b"no JSON", SECRET))[0],
        (await bring(brought, b"[" * 100_000, SECRET))[0],
    ]
    assert statuses == [403, 403, 403, 405, 404, 413, 400, 400]
    await answered(telegram, "/command from somebody", 7)
    assert [text for _, _, text in published(redis_server)] == ["/command from somebody"]


async def test_what_is_brought_again_is_one_event_and_one_reply(
    brought: Service, telegram: SimClient, redis_server: RedisServer, held_by: Path
) -> None:
    """While it is in hand, when it is finished, and when it was parked."""
    await telegram.write("hello", user=7)
    slow = asyncio.gather(*(bring(brought, message(5, "/hold"), SECRET) for _ in range(3)))
    assert [status for status, _ in await slow] == [200, 200, 200]
    assert published(redis_server) == []
    await asyncio.to_thread(held_by.unlink)
    await eventually(lambda: len(published(redis_server)) == 1)
    assert (await bring(brought, message(5, "/hold"), SECRET))[0] == 200
    for _ in range(2):
        assert (await bring(brought, message(6, "/command x"), SECRET))[0] == 200
    assert [text for _, _, text in published(redis_server)] == ["/hold", "/command x"]
    assert await replies(brought, telegram, 7) == [PUBLISHED] * 2


async def test_an_update_without_an_id_is_kept(brought: Service, redis_server: RedisServer) -> None:
    """As one that was fetched: in the dead letters, and Telegram brings it no more."""
    for _ in range(2):
        assert (await bring(brought, b'{"poll": {"id": "1"}}', SECRET))[0] == 200
    letters = redis_server.client().xrange(telegram_update.dead_letters)
    assert {letter[b"reason"] for _, letter in letters} == {b"it has no update_id"}


async def test_a_bot_that_is_killed_loses_and_doubles_nothing(
    brought: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """Whatever was not answered is brought again, in the order of each chat."""
    sent: list[tuple[int, str]] = []
    for burst in range(2):
        before = len(published(redis_server))
        text = f"/command {burst}-{{n}}"
        await telegram.write_many(text, count=BURST, users=USERS, first_user=100)
        sent += [(100 + n % USERS, text.format(n=n)) for n in range(BURST)]
        await eventually(lambda: len(published(redis_server)) > before + USERS)  # noqa: B023
        brought.kill()
        brought.start()
    await eventually(lambda: len(published(redis_server)) >= len(sent), seconds=60)
    assert judge(redis_server, sent) == KEPT
    await settled(telegram)


async def test_without_redis_telegram_is_told_to_come_again(
    brought: Service, sim: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """A 503 with a pause, so that all of it is there soon after Redis is."""
    async with Stream(telegram) as stream:
        await stream.more(20)
        redis_server.kill()
        await stream.more(20)
        await eventually(lambda: role(brought) == "standby")
        status, headers = await bring(brought, message(9, "/command nowhere"), SECRET)
        assert (status, headers["Retry-After"]) == (503, "1")
        redis_server.start()
        await stream.more(20)
    await eventually(lambda: len(published(redis_server)) >= len(stream.sent), seconds=60)
    assert judge(redis_server, stream.sent) == KEPT
    about = await ask(url_of(sim), "getWebhookInfo")
    assert "503" in about["last_error_message"]


async def test_a_slow_handler_delays_its_sender_only_and_survives_a_kill(
    brought: Service, telegram: SimClient, redis_server: RedisServer, held_by: Path
) -> None:
    """It is parked and answered; after a SIGKILL it happens, and what came behind it behind it."""
    await telegram.write("/hold", user=5)
    await telegram.write("/command behind", user=5)
    await answered(telegram, "/command other", 6)
    await eventually(lambda: redis_server.client().hlen(PARKED) == 2)
    await settled(telegram)
    brought.kill()
    brought.start()
    await answered(telegram, "/command another", 6)
    for text in redis_server.client().hvals(PARKED):
        again = json.dumps(json.loads(text)["update"]).encode()
        assert (await bring(brought, again, SECRET))[0] == 200
    await asyncio.to_thread(held_by.unlink)
    await eventually(lambda: len(published(redis_server)) == 4)
    sent = [(6, "/command other"), (6, "/command another"), (5, "/hold"), (5, "/command behind")]
    assert judge(redis_server, sent) == KEPT
    assert await replies(brought, telegram, 5) == [PUBLISHED] * 2


async def test_from_polling_to_a_webhook_and_back(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """Under a stream of commands nothing is lost or doubled; a bot that polls removes the webhook.

    Twice it is a SIGKILL, as where a release goes wrong.
    """
    brings = bot(redis_server.url, url_of(sim), held_by)
    polls = polling(brings)
    async with Stream(telegram) as stream:
        for service, ends in ((polls, 0), (brings, 0), (polls, -9), (brings, -9), (polls, 0)):
            before = len(published(redis_server))
            service.start()
            await eventually(lambda: len(published(redis_server)) > before + 20)  # noqa: B023
            await stream.more(20)
            webhook = (await telegram.bot()).raw["webhook"]
            assert webhook == (service.variables["WEBHOOK_URL"] or None)
            if ends:
                service.kill()
            else:
                assert await asyncio.to_thread(service.terminate) == 0
    polls.start()
    await eventually(lambda: len(published(redis_server)) >= len(stream.sent), seconds=60)
    polls.kill()
    assert judge(redis_server, stream.sent) == KEPT


@pytest.mark.parametrize("how", LOSSES, ids=LOSSES)
async def test_the_next_holder_has_updates_brought_to_itself(
    how: str,
    redis_server: RedisServer,
    sim: Service,
    telegram: SimClient,
    held_by: Path,
) -> None:
    """Two servers under one name: within ten seconds of a loss Telegram has the other's address."""
    port = free_port()
    first, second = (bot(redis_server.url, url_of(sim), held_by) for _ in range(2))
    bring_to(first, "127.0.0.1", port)
    bring_to(second, "127.0.0.2", port)
    with first:
        await eventually(lambda: SET in first.log)
        with second:
            await eventually(lambda: "standing by" in second.log)
            async with Stream(telegram) as stream:
                await stream.more(20)
                os.kill(first.pid, LOSSES[how])
                began = time.monotonic()
                await eventually(lambda: SET in second.log, seconds=15)
                assert time.monotonic() - began < 10
                await stream.more(20)
            about = await ask(url_of(sim), "getWebhookInfo")
            assert about["ip_address"] == "127.0.0.2"
            await eventually(lambda: len(published(redis_server)) >= len(stream.sent), seconds=60)
            if how == "frozen":
                os.kill(first.pid, signal.SIGCONT)
                await eventually(lambda: first.log.count("standing by") == 1)
            assert judge(redis_server, stream.sent) == KEPT


async def test_who_stands_by_takes_nothing(
    brought: Service, sim: Service, redis_server: RedisServer, held_by: Path
) -> None:
    """Whoever gets there by another way is told to come again."""
    with bot(redis_server.url, url_of(sim), held_by) as second:
        await eventually(lambda: "standing by" in second.log)
        assert (await bring(second, message(1, "/command x"), SECRET))[0] == 503
        assert (await bring(second, message(1, "/command x"), {}))[0] == 403
    assert published(redis_server) == []


async def test_a_webhook_that_somebody_else_has_changed_is_set_again(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """The holder looks now and then, and says so."""
    service = bot(redis_server.url, url_of(sim), held_by)
    with service:
        await eventually(lambda: SET in service.log)
        await ask(url_of(sim), "deleteWebhook")
        await eventually(lambda: service.log.count(SET) == 2, seconds=40)
        assert "somebody else has changed the webhook" in service.log
        await answered(telegram, "/command again", 7)


async def test_a_taken_webhook_port_is_one_line_and_exit_78(
    redis_server: RedisServer, sim: Service, telegram: SimClient, held_by: Path
) -> None:
    """The line names the variable and the port."""
    starting = bot(redis_server.url, url_of(sim), held_by)
    starting.variables["WEBHOOK_PORT"] = sim.variables["SIM_PORT"]
    with starting as running:
        assert await asyncio.to_thread(running.wait) == 78
        taken = f"WEBHOOK_PORT is {sim.variables['SIM_PORT']}, which cannot be used"
        assert taken in running.log
