"""Each alert fires for a real trouble, and the webhook is told."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator

import aiohttp
import pytest

from shared.keys import BACKUP_TIME, dead_letters_of
from telegram_sim.client import SimClient
from tests.observability.watched import Watched
from tests.processes import TOKEN, url_of

pytestmark = pytest.mark.timeout(600)  # what takes too long says itself what was heard

USER = 700_123_456
EVENTS = {"stream": "command_received", "group": "backend"}
FIRING = 'ALERTS{alertstate="firing"}'


@pytest.fixture(autouse=True)
def heard_anew(watched: Watched) -> Iterator[None]:
    """What a test made the webhook hear does not count in the next; what it heard before does."""
    # An alert that stands is told once, maybe before the first test begins.
    yield
    watched.receiver.alerts.clear()


def test_what_works_is_quiet_and_a_stack_without_a_backup_is_not(watched: Watched) -> None:
    """Nothing else fires; and an old backup is another alert than none."""
    alert = watched.hears("NoBackup")
    assert alert["annotations"]["runbook"] == "docs/ALERTS.md#nobackup"

    def firing() -> set[str]:
        return {series["metric"]["alertname"] for series in watched.query(FIRING)}

    watched.until(lambda: firing() == {"NoBackup"}, "only the missing backup is an alert")
    client = watched.redis.client()
    client.set(BACKUP_TIME, int(time.time()) - 3600)
    alert = watched.hears("BackupTooOld")
    assert alert["annotations"]["summary"].startswith("the newest backup is 1h 0m")
    client.set(BACKUP_TIME, int(time.time()) + 3600)
    watched.hears("BackupTooOld", "resolved")


def test_an_event_that_nobody_can_read_is_told(watched: Watched) -> None:
    """It lands in the dead letters, the first since the process began; and until it is dropped."""
    client = watched.redis.client()
    client.xadd("command_received", {"__data__": "no event"})
    alert = watched.hears("DeadLetters", **EVENTS)
    summary = alert["annotations"]["summary"]
    assert summary == "group backend of command_received has new dead letters"
    alert = watched.hears("DeadLettersStand", stream="command_received")
    assert alert["annotations"]["summary"] == "dead letters of command_received stand: 1"
    client.delete(dead_letters_of("command_received"))
    watched.hears("DeadLettersStand", "resolved", stream="command_received")


def test_events_that_wait_for_the_database_are_told(watched: Watched) -> None:
    """Another process has locked it; once it lets go, the group catches up."""
    with contextlib.closing(sqlite3.connect(watched.database)) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        watched.telegram(lambda client: client.write("/command wait", user=USER))
        watched.hears("EventsWait", **EVENTS)
        locked.rollback()
    watched.hears("EventsWait", "resolved", **EVENTS)


def test_a_redis_that_fills_up_is_told(watched: Watched) -> None:
    """Before it refuses anything."""
    client = watched.redis.client()
    for _ in range(56):
        client.rpush("ballast", "x" * 1_000_000)
    alert = watched.hears("StoreNearlyFull")
    assert alert["annotations"]["summary"].startswith("Redis has used 8")
    client.delete("ballast")
    watched.hears("StoreNearlyFull", "resolved")


def test_replies_that_telegram_does_not_take_are_told(watched: Watched) -> None:
    """After the last attempt."""
    fail = {"method": "sendMessage", "code": 500}

    async def trouble(client: SimClient) -> None:
        await client.add_fault("error", **fail)  # type: ignore[arg-type]
        await client.write("/help", user=USER)

    watched.telegram(trouble)
    watched.hears("RepliesGivenUp", job="tg_bot")
    watched.telegram(lambda client: client.clear_faults())


def test_somebody_else_who_polls_is_told(watched: Watched) -> None:
    """Telegram answers 409 to one of the two."""

    async def poll() -> None:
        url = f"{url_of(watched.sim)}/bot{TOKEN}/getUpdates"
        async with aiohttp.ClientSession() as session:
            conflicts = 'herald_poll_conflicts_total{job="tg_bot"} > 0'
            while not await asyncio.to_thread(watched.query, conflicts):
                async with session.get(url, params={"timeout": "1"}) as answer:
                    await answer.read()

    asyncio.run(asyncio.wait_for(poll(), 120))
    watched.hears("LeaseTrouble", job="tg_bot")


def test_a_bot_that_has_died_is_told(watched: Watched) -> None:
    """It does not answer, and nobody polls."""
    watched.bot.kill()
    watched.hears("ServiceDown", job="tg_bot")
    watched.hears("NobodyPolls", job="tg_bot")
    watched.bot.start()
    watched.telegram(lambda client: client.write("/help", user=USER))
    watched.hears("NobodyPolls", "resolved", job="tg_bot")


def test_a_backend_that_has_died_is_told(watched: Watched) -> None:
    """And that it is back."""
    watched.backend.kill()
    watched.hears("ServiceDown", job="backend")
    watched.backend.start()
    watched.hears("ServiceDown", "resolved", job="backend")


def test_a_redis_that_is_away_is_told(watched: Watched) -> None:
    """Bot and backend live and say so by saying nothing of it."""
    watched.redis.kill()
    watched.hears("RedisAway")
    watched.redis.start()
    watched.hears("RedisAway", "resolved")
