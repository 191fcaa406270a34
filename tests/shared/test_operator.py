"""What an operator does at the wrong moment, and a process that does more than most."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from shared.keys import dead_letters_of, lease_of, marker
from shared.streams import Delivery, Limits, StreamBroker, TooLateError
from shared.streams.dead_letters.graveyard import Graveyard
from shared.streams.server.connection import MAX_CONNECTIONS
from shared.streams.server.scripts import load_script
from tests.chaos.histories.clock import shifted
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.said import SAID, Said, said

FAST = Limits(block=0.05, claim_after=0.6, first_retry=0.01, last_retry=0.05)
HOUR = 3600.0


async def test_a_restart_in_the_middle_of_a_replay_doubles_nothing(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Redis is killed while an operator replays all; the same again does the rest.

    Each event is in the stream once, and no letter is left.
    """
    for number in range(120):
        refusal = {"event_id": f"id-{number}", "reason": "broken"}
        with pytest.raises(Exception, match="broken"):
            await broker.refuse_event(SAID, said(number), **refusal)
    half = threading.Event()

    def replay_all() -> bool:
        client = redis_server.client()
        graveyard = Graveyard(client, {SAID.name: SAID})
        try:
            for count, letter in enumerate(graveyard.letters(SAID.name)):
                if count == 60:
                    half.set()
                graveyard.replay(letter)
        except RedisError:
            return False
        return True

    first = asyncio.create_task(asyncio.to_thread(replay_all))
    await asyncio.to_thread(half.wait, 60)
    await asyncio.to_thread(redis_server.kill)
    await first
    await asyncio.to_thread(redis_server.start)
    assert await asyncio.to_thread(replay_all)
    client = redis_server.client()
    assert client.xlen(dead_letters_of("said")) == 0
    markers = [client.get(marker("said", f"id-{n}")).split(b"\t")[0] for n in range(120)]
    assert sorted(markers) == sorted(id_ for id_, _ in client.xrange("said"))
    assert len(set(markers)) == 120


async def test_a_stream_that_is_deleted_again_and_again_stops_nobody(
    broker: StreamBroker, redis_server: RedisServer, handled: list[int]
) -> None:
    """DEL takes entries and groups (NOGROUP); what is published afterwards is handled."""
    client = redis_server.client()
    for number in range(0, 40, 2):
        await broker.publish_event(SAID, said(number), event_id=f"id-{number}")
        await asyncio.to_thread(client.delete, "said")
        await broker.publish_event(SAID, said(number + 1), event_id=f"id-{number + 1}")
        await eventually(partial(handled.__contains__, number + 1), seconds=60)
    (group,) = client.xinfo_groups("said")
    await eventually(lambda: client.xpending("said", "g")["pending"] == 0, seconds=60)
    assert group["name"] == b"g"


async def test_more_groups_than_connections_wait_for_entries_at_once(
    redis_server: RedisServer,
) -> None:
    """Each that waits has a connection, and what has something to say finds one free.

    With the pool's own few, groups would wait for each other's reads, and a publish behind them.
    """
    groups, seen = 2 * MAX_CONNECTIONS, set[str]()
    member = StreamBroker()

    def noting(name: str) -> Callable[[Said], Awaitable[None]]:
        async def handle(event: Said) -> None:
            del event
            seen.add(name)

        return handle

    for name in (f"g{number}" for number in range(groups)):
        member.subscribe_event(SAID, group=name, limits=Limits(block=4.0))(noting(name))
    client = redis_server.client()

    def waiting() -> int:
        clients = client.client_list()
        return sum("b" in c["flags"] and c["cmd"] == "xreadgroup" for c in clients)

    await member.connect(redis_server.url)
    await member.start_consumers()
    try:
        await eventually(lambda: waiting() == groups, seconds=60)
        await member.publish_event(SAID, said(1))
        await eventually(lambda: len(seen) == groups, seconds=60)
    finally:
        await member.close()
    assert (await member.connect(redis_server.url)).connection_pool.max_connections == (
        MAX_CONNECTIONS
    )
    await member.close()


class SkewedServer(RedisServer):
    """A server whose clock can be set forward and back."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = Path(self._folder.name, "offset")
        self._set(0.0)

    def start(self) -> None:
        """Start it with the clock as it stands."""
        with shifted(self.offset):
            super().start()

    def set_clock(self, seconds: float) -> None:
        """Set how far the clock is ahead; returns when the server has noticed."""
        self._set(seconds)
        client, patience = self.client(), time.monotonic() + 60
        while abs(client.time()[0] - time.time() - seconds) > HOUR / 2:
            assert time.monotonic() < patience

    def _set(self, seconds: float) -> None:
        file = os.open(self.offset, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(file, f"{seconds:+021.3f}\n".encode(), 0)
        os.close(file)


async def test_a_server_whose_clock_jumps_keeps_order_and_ids() -> None:
    """Forward by half a day and back by a day: ids grow, none is doubled, all are handled once.

    Forward by more than a marker lives, ids are forgotten: the publisher that was there says that
    it does not know, and who publishes the same again is believed.
    """
    with SkewedServer() as server:
        client, numbers = server.client(), list[int]()
        publisher, member = StreamBroker(), StreamBroker()

        async def handle(event: Said, delivery: Delivery) -> None:
            del delivery
            numbers.append(event.number)

        member.subscribe_event(SAID, group="g", limits=FAST)(handle)
        for broker in (publisher, member):
            await broker.connect(server.url, source="/tests")
        await member.start_consumers()
        try:
            for number, hours in enumerate((0, 12, -12, 0)):
                await asyncio.to_thread(server.set_clock, hours * HOUR)
                for again in (number, number, 0):
                    await publisher.publish_event(SAID, said(again), event_id=f"id-{again}")
                await eventually(partial(numbers.__contains__, number), seconds=60)
            entries = [id_ for id_, _ in client.xrange("said")]
            assert len(entries) == 4
            assert numbers == [0, 1, 2, 3]
            await asyncio.to_thread(server.set_clock, 73 * HOUR)
            with pytest.raises(TooLateError):
                await publisher.publish_event(SAID, said(0), event_id="id-0")
            assert client.xlen("said") == 4
            await publisher.publish_event(SAID, said(0), event_id="id-0")
            assert client.xlen("said") == 5
        finally:
            for broker in (member, publisher):
                await broker.close()


def test_a_clock_that_is_set_back_keeps_a_dead_holders_lease() -> None:
    """Redis writes down when a key ends, not how long it lasts: docs/DELIVERY.md tells of it."""
    with SkewedServer() as server:
        client = server.client()
        lease = lease_of("said", "42")
        client.eval(load_script("lease"), 2, lease, f"{lease}:token", "dead", 10_000)
        server.set_clock(-HOUR)
        assert client.pttl(lease) > 0.9 * HOUR * 1000
