"""Redis on three servers: who is written to, what a lost server costs, and who may begin."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import redis
from pydantic import BaseModel
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.streams import EventStream, StreamBroker
from tests.scale.servers import DEADLINE, NAME, SENTINEL_PORT, Servers, docker, until

KIND = "redis"
pytestmark = pytest.mark.timeout(400)
KEY = "confirmed"


class Order(BaseModel):
    """What the example's bot publishes."""

    number: int


ORDERS = EventStream("order_placed", Order)
NUMBERS = count(1)


@pytest.fixture(scope="module")
def group(servers: Servers) -> Servers:
    """Three servers, brought up for the first time."""
    servers.begin()
    return servers


@pytest.fixture
def whole(group: Servers) -> Servers:
    """The same, with every copy where it belongs, before a test."""
    until(lambda: is_whole(group), "every Sentinel lists both replicas, none chained")
    return group


def sentinel(servers: Servers, number: int) -> Any:
    """Return a client of a server's Sentinel, as anybody may have one."""
    return client(servers.addresses[number], SENTINEL_PORT)


def client(address: str, port: int = 6379, **login: Any) -> Any:
    """Return a client that gives up soon and tries nothing twice."""
    return redis.Redis(
        host=address,
        port=port,
        socket_timeout=3,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        **login,
    )


def operator(servers: Servers, number: int) -> Any:
    """Return the operator's client of a server's Redis."""
    password = servers.secret("REDIS_OPERATOR_PASSWORD")
    return client(servers.addresses[number], username="operator", password=password)


def primary(servers: Servers) -> int:
    """Return the number of the server that two Sentinels name; -1 where they name none."""
    named: list[str] = []
    for number in range(3):
        try:
            answer = sentinel(servers, number).execute_command(
                "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME
            )
        except redis.RedisError:
            continue
        named += answer[:1] if answer else []
    majority = [address for address in servers.addresses if named.count(address) > 1]
    return servers.addresses.index(majority[0]) if majority else -1


def is_whole(servers: Servers) -> bool:
    """Say whether each Sentinel lists both replicas, each connected to the primary itself."""
    leader = primary(servers)
    if leader < 0:
        return False
    _, _, replicas = operator(servers, leader).execute_command("ROLE")
    if len(replicas) < 2:
        return False
    listed = [sentinel(servers, number).sentinel_slaves(NAME) for number in range(3)]
    return all(
        len(replicas) == 2 and all(follows(facts, servers.addresses[leader]) for facts in replicas)
        for replicas in listed
    )


def follows(facts: dict[str, Any], address: str) -> bool:
    """Say whether a replica, as a Sentinel lists it, is connected to the primary."""
    linked = facts["master-link-status"] == "ok" and facts["master-host"] == address
    return linked and not facts["is_sdown"]


def confirm(servers: Servers) -> set[str]:
    """Add entries until a second copy has them all; return them."""
    entries = {str(next(NUMBERS)) for _ in range(20)}

    def written() -> bool:
        with operator(servers, primary(servers)) as at, at.pipeline(transaction=False) as calls:
            calls.sadd(KEY, *entries)
            calls.incr("touched")  # WAIT counts what this connection has written
            calls.execute_command("WAIT", 1, 2000)
            return int(calls.execute()[-1]) >= 1

    until(written, "a second copy has what was written")
    return entries


def entries(servers: Servers) -> set[str]:
    """Return every entry that the primary has."""
    return set(operator(servers, primary(servers)).smembers(KEY))


def stream(servers: Servers) -> list[dict[str, str]]:
    """Return the entries of the stream at the primary."""
    until(lambda: primary(servers) >= 0, "two Sentinels name a primary")
    return [fields for _, fields in operator(servers, primary(servers)).xrange(ORDERS.name)]


def nothing_is_lost(servers: Servers, confirmed: set[str]) -> None:
    """See that the primary has what was confirmed; what is lost does not come back."""
    until(lambda: confirmed <= entries(servers), "the primary has what was confirmed")


def moved(servers: Servers, leader: int) -> bool:
    """Say whether another one is the primary now and takes writes."""
    now = primary(servers)
    if now in {-1, leader}:
        return False
    return str(operator(servers, now).execute_command("ROLE")[0]) == "master"


def test_three_are_brought_up_and_replicate(whole: Servers) -> None:
    """The founder begins as the primary, the others as its copies, and each start is guarded."""
    assert "begins as the primary" in whole.logs(0, "redis")
    for number in (1, 2):
        assert f"begins as --replicaof {whole.addresses[0]}" in whole.logs(number, "redis")
        container = f"{whole.server(number)}-redis-1"
        guard = docker("inspect", "--format", "{{.Config.Entrypoint}}", container)
        assert guard.startswith("[start-redis ")
    nothing_is_lost(whole, confirm(whole))


def test_who_is_near_may_look_up_and_change_nothing(whole: Servers) -> None:
    """Without a password a Sentinel answers who is the primary, and refuses to depose it."""
    for words in (("FAILOVER", NAME), ("RESET", "*"), ("SET", NAME, "quorum", "1")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            sentinel(whole, 1).execute_command("SENTINEL", *words)
    with pytest.raises(redis.exceptions.AuthenticationError):
        client(whole.addresses[0]).ping()


def test_a_power_cut_of_the_primary_loses_nothing(whole: Servers) -> None:
    """Another one takes over with all that was confirmed, and the lost one becomes its copy."""
    confirmed, leader = confirm(whole), primary(whole)
    whole.power_cut(leader)
    until(lambda: moved(whole, leader), "another one takes over")
    nothing_is_lost(whole, confirmed)
    whole.join(leader)
    whole.up(leader)
    until(lambda: is_whole(whole), "the lost one is a replica")
    assert "begins as --replicaof" in whole.logs(leader, "redis")


def hand_over(servers: Servers, leader: int) -> None:
    """Make another one the primary, as before its server is touched."""
    password = servers.secret("REDIS_OPERATOR_PASSWORD")
    at = client(servers.addresses[leader], SENTINEL_PORT, username="operator", password=password)
    at.execute_command("SENTINEL", "FAILOVER", NAME)
    until(lambda: moved(servers, leader), "another one is the primary")


@pytest.mark.parametrize("fault", [Servers.power_cut, hand_over])
async def test_a_service_publishes_all_the_while(
    whole: Servers, fault: Callable[[Servers, int], None]
) -> None:
    """With the user and the address of the rendered secret: nothing is lost, nothing doubled."""
    url = whole.secret("BOT_REDIS_URL")
    for number, address in enumerate(whole.addresses):
        url = url.replace(f"server-{number + 1}:", f"{address}:")
    broker, leader = StreamBroker(), primary(whole)
    published: list[str] = []
    await broker.connect(url, source="/bot")

    async def publish() -> None:
        published.append(f"{fault.__name__}:{len(published)}")
        order = Order(number=len(published))
        await broker.publish_event(ORDERS, order, event_id=published[-1])

    async with asyncio.timeout(DEADLINE):
        await publish()
        happens = asyncio.create_task(asyncio.to_thread(fault, whole, leader))
        while not happens.done():
            await publish()
        await happens
        for _ in range(20):
            await publish()
    await broker.close()
    stored = [json.loads(fields["__data__"])["id"] for fields in stream(whole)]
    assert sorted(event for event in stored if event in set(published)) == sorted(published)
    if fault is Servers.power_cut:
        whole.join(leader)
        whole.up(leader)


def test_an_empty_disk_is_filled_by_the_others(whole: Servers) -> None:
    """The primary's server is lost for good: a new one with its address gets everything."""
    confirmed, leader = confirm(whole), primary(whole)
    whole.power_cut(leader, disk=False)
    until(lambda: moved(whole, leader), "another one takes over")
    whole.join(leader)
    whole.up(leader)
    until(lambda: is_whole(whole), "the new one is a replica")
    until(lambda: confirmed <= set(operator(whole, leader).smembers(KEY)), "it has everything")
    nothing_is_lost(whole, confirmed)


def test_an_empty_primary_does_not_begin(whole: Servers) -> None:
    """Its disk is lost and it is back before anybody noticed, even as the founder: it waits."""
    confirmed, leader = confirm(whole), primary(whole)
    whole.compose(leader, "kill", "redis")
    whole.compose(leader, "rm", "--force", "redis")
    docker("volume", "rm", f"{whole.server(leader)}_redis_data")
    whole.up(leader, "redis", founder=whole.addresses[leader])
    until(lambda: moved(whole, leader), "another one takes over")
    until(lambda: is_whole(whole), "the empty one is a replica")
    assert "begins as the primary" not in whole.logs(leader, "redis")
    nothing_is_lost(whole, confirmed)


def test_nobody_begins_without_a_majority(whole: Servers) -> None:
    """A server that reaches its own Sentinel only starts no Redis until it reaches another."""
    alone = (primary(whole) + 1) % 3
    waits = "fewer than two Sentinels name the same primary: waiting"
    before = whole.logs(alone, "redis").count(waits)
    whole.cut(alone)
    whole.compose(alone, "restart", "redis")
    until(lambda: whole.logs(alone, "redis").count(waits) > before, "it says that it waits")
    running = docker("top", f"{whole.server(alone)}-redis-1", "-o", "pid,comm")
    assert "redis-server" not in running
    whole.join(alone)
    until(lambda: is_whole(whole), "it is a replica again")
