"""The lease: one holder at a time, followed quickly, whatever happens to holder and server."""

import asyncio
import re
from time import monotonic

import pytest
from structlog.testing import capture_logs

from shared.streams import Lease, StreamBroker
from shared.streams.lease import LENGTH
from tests.servers import RedisServer
from tests.shared.said import SAID


async def contender(broker: StreamBroker) -> Lease:
    """Return one more contender for the same lease."""
    return await broker.lease(SAID, "42")


def stop_renewing(lease: Lease) -> None:
    """Take a contender's renewal away, as SIGKILL would."""
    task = lease._contending
    assert task is not None
    task.cancel()


def asked(server: RedisServer) -> int:
    """Return how many scripts the server has been asked for."""
    return int(server.client().info("commandstats")["cmdstat_evalsha"]["calls"])


async def test_one_contender_holds_it(broker: StreamBroker) -> None:
    """A second contender waits for as long as the first one renews."""
    first, second = await contender(broker), await contender(broker)
    await asyncio.wait_for(first.acquire(), 2)
    waiting = asyncio.create_task(second.acquire())
    done, _ = await asyncio.wait({waiting}, timeout=LENGTH + 1)
    assert not done
    assert (first.held, second.held) == (True, False)
    waiting.cancel()
    await first.release()
    await second.release()


async def test_nobody_asks_without_a_pause(broker: StreamBroker, redis_server: RedisServer) -> None:
    """In two seconds holder and contender ask some ten times together, not thousands."""
    first, second = await contender(broker), await contender(broker)
    await asyncio.wait_for(first.acquire(), 2)
    waiting = asyncio.create_task(second.acquire())
    before = asked(redis_server)
    await asyncio.sleep(2)
    assert 0 < asked(redis_server) - before < 30
    waiting.cancel()
    await first.release()
    await second.release()


async def test_a_standby_asks_more_often_than_a_holder_renews(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """So that what is given back is taken soon, and a lease that is held costs little."""
    first, second = await contender(broker), await contender(broker)
    await asyncio.wait_for(first.acquire(), 2)
    waiting = asyncio.create_task(second.acquire())
    asks: list[str] = []
    with redis_server.client().monitor() as monitor:
        while len(asks) < 12:
            command = str((await asyncio.to_thread(monitor.next_command))["command"])
            asks += re.findall(f"^EVALSHA .*({first.owner}|{second.owner})", command)
    assert asks.count(second.owner) >= 2 * asks.count(first.owner) > 0
    waiting.cancel()
    await first.release()
    await second.release()


async def test_a_release_is_followed_within_a_second(broker: StreamBroker) -> None:
    """What is given back is taken at once, in a later term."""
    first, second = await contender(broker), await contender(broker)
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.5)
    await first.release()
    assert not first.held
    began = monotonic()
    await asyncio.wait_for(waiting, 3)
    assert monotonic() - began < 1.0
    assert second.term == first.term + 1
    await second.release()


async def test_a_death_is_followed_after_the_lease(broker: StreamBroker) -> None:
    """A holder that renews no more knows that it lost, before the next one begins."""
    first, second = await contender(broker), await contender(broker)
    await first.acquire()
    stop_renewing(first)
    began = monotonic()
    await asyncio.wait_for(second.acquire(), 10)
    assert monotonic() - began > LENGTH - 1
    assert not first.held
    await second.release()


async def test_a_holder_that_cannot_renew_loses_it(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """When Redis answers no more the holder stops in time, and gets it again afterwards."""
    lease = await contender(broker)
    await lease.acquire()
    redis_server.freeze()
    try:
        began = monotonic()
        await asyncio.wait_for(lease.lost(), LENGTH + 2)
        assert monotonic() - began < LENGTH
        assert not lease.held
    finally:
        redis_server.thaw()
    await asyncio.wait_for(lease.acquire(), 15)
    await lease.release()


async def test_a_restart_of_redis_does_not_make_two_holders(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Lease and term survive a crash of the server."""
    first, second = await contender(broker), await contender(broker)
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    redis_server.kill()
    redis_server.start()
    for _ in range(40):
        assert not (first.held and second.held)
        await asyncio.sleep(0.1)
    assert first.held or second.held
    assert max(first.term, second.term) <= first.term + 1
    waiting.cancel()
    await first.release()
    await second.release()


async def test_a_lease_counts_as_lost_before_it_is_had_and_after_it_is_given_back(
    broker: StreamBroker,
) -> None:
    """Who waits for its loss waits only while it is held."""
    lease = await contender(broker)
    await asyncio.wait_for(lease.lost(), 1)
    await lease.acquire()
    losing = asyncio.create_task(lease.lost())
    done, _ = await asyncio.wait({losing}, timeout=0.1)
    assert not done
    await lease.release()
    await asyncio.wait_for(losing, 1)


async def test_a_holder_says_once_that_redis_is_away_and_once_that_it_is_back(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """However often it asks meanwhile."""
    lease = await contender(broker)
    await lease.acquire()
    with capture_logs() as lines:
        redis_server.kill()
        await asyncio.wait_for(lease.lost(), LENGTH + 2)
        redis_server.start()
        await asyncio.wait_for(lease.acquire(), 15)
    said = [line["event"] for line in lines if line.get("purpose") == "lease"]
    assert said[0] == "redis unavailable"
    assert said.count("redis available") == 1
    assert said[-1] == "redis available"
    await lease.release()


async def test_leases_of_other_names_are_apart(broker: StreamBroker) -> None:
    """Bots with different tokens do not wait for each other."""
    lease, other = await contender(broker), await broker.lease(SAID, "43")
    await asyncio.wait_for(asyncio.gather(lease.acquire(), other.acquire()), 3)
    await lease.release()
    await other.release()


@pytest.mark.parametrize("state", ["held", "not held"])
async def test_releasing_while_redis_is_away_returns(
    broker: StreamBroker, redis_server: RedisServer, state: str
) -> None:
    """A bot that is stopped during an outage is not held up by its lease."""
    lease = await contender(broker)
    if state == "held":
        await lease.acquire()
    redis_server.freeze()
    try:
        await asyncio.wait_for(lease.release(), 3)
    finally:
        redis_server.thaw()
