"""Why attempts failed is kept beside the stream: bounded, and at nobody's cost."""

import pytest

from shared.keys import attempts_of
from shared.streams import Delivery, Limits, StreamBroker
from shared.streams.consume import attempts
from shared.streams.consume.delivery import DeliveryInfo
from tests.servers import RedisServer
from tests.shared.members import Recorder, StartMember, pending, until
from tests.shared.said import SAID, Said, said

pytestmark = pytest.mark.usefixtures("way")

KEY = attempts_of(SAID.name)
QUICK = Limits(block=0.05, deliveries=3, first_retry=0.01, last_retry=0.01)


async def test_what_works_at_once_writes_nothing(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """The key of failed attempts is not even there."""
    await broker.publish_event(SAID, said(1))
    record = Recorder()
    await consume(record)
    await until(lambda: len(record.seen) == 1 and pending(redis_server) == 0)
    assert not redis_server.client().exists(KEY)


async def test_attempts_that_cannot_be_kept_hold_nothing_up(
    broker: StreamBroker, redis_server: RedisServer, consume: StartMember
) -> None:
    """Something else stands at their key: one entry is handled all the same, the other buried."""
    client = redis_server.client()
    client.set(KEY, "in the way")
    for number in range(2):
        await broker.publish_event(SAID, said(number))
    handled = []

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == 1 or delivery.attempt == 1:
            raise RuntimeError("not now")
        handled.append(event.number)

    await consume(handle, limits=QUICK)
    await until(lambda: client.xlen(SAID.dead_letters) == 1 and pending(redis_server) == 0)
    assert handled == [0]
    assert client.get(KEY) == b"in the way"


async def test_they_are_bounded_and_expire(broker: StreamBroker, redis_server: RedisServer) -> None:
    """The oldest go first, a long reason is cut, and after a day all of them are gone."""
    client = await broker.connect()
    for number in range(attempts.MOST + 500):
        delivery = DeliveryInfo(f"id-{number}", SAID.name, "1-1", 1, "/tests")
        await attempts.write(client, "g", delivery, 1, "why " * 1000)
    assert attempts.MOST <= redis_server.client().xlen(KEY) < attempts.MOST + 200
    assert 0 < redis_server.client().ttl(KEY) <= attempts.KEPT
    assert await attempts.read(client, SAID.name, "1-1", "id-0") == []
    (last,) = await attempts.read(client, SAID.name, "1-1", f"id-{attempts.MOST + 499}")
    assert (last.group, last.number, len(last.reason)) == ("g", 1, attempts.MOST_REASON)
