"""A Redis with copies is reached by a majority of its Sentinels, wherever its primary is."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared.addresses import SentinelAddress, parse_sentinel_url
from shared.dead_letters import Settings
from shared.settings import SettingsError, load_settings
from shared.streams import Delivery, EventRefusedError, StreamBroker
from shared.streams.server import sentinels
from shared.streams.server.sentinels import NoPrimaryError, Sentinels
from tests.conditions import eventually
from tests.copies import SERVICE, Copies, Node, copies
from tests.shared.said import SAID, Said, said

pytestmark = pytest.mark.timeout(300)  # three Sentinels beside another suite
QUICK = (f"down-after-milliseconds {SERVICE} 1000", f"failover-timeout {SERVICE} 10000")
HOUR = (f"down-after-milliseconds {SERVICE} 3600000",)


@pytest.fixture
def three() -> Iterator[Copies]:
    """Three copies that choose anew after a second."""
    with copies(*QUICK) as three:
        yield three


@pytest.fixture
def disagreeing() -> Iterator[tuple[Node, Node, Node]]:
    """Three Sentinels, of which the first calls another server the primary than the others."""
    nodes = Node(), Node(), Node()
    alone, primary, replica = nodes
    try:
        for node in (alone, primary):
            node.start(None)
        replica.start(primary.where)
        for node, named in zip(nodes, (alone, primary, primary), strict=True):
            node.watch(named.where, *HOUR)
        yield nodes
    finally:
        for node in nodes:
            node.remove()


def list_dead_letters(url: str) -> subprocess.CompletedProcess[str]:
    """Run the dead-letter tool."""
    return subprocess.run(
        (sys.executable, "-m", "shared.dead_letters", "list"),
        env={**os.environ, "REDIS_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def url_of(*nodes: Node) -> str:
    """Return the address that names these nodes' Sentinels."""
    hosts = ",".join(f"{node.address}:{node.sentinel_port}" for node in nodes)
    return f"redis+sentinel://{hosts}/{SERVICE}"


def test_an_address_says_it_all() -> None:
    """Whatever an address can hold is read; what it leaves out has a default."""
    url = "redis+sentinel://tg_bot:p%40ss@one:1,[::1]:2,three/herald/4"
    assert parse_sentinel_url(url) == SentinelAddress(
        sentinels=(("one", 1), ("::1", 2), ("three", 26379)),
        service="herald",
        database=4,
        username="tg_bot",
        password="p@ss",
    )
    plain = parse_sentinel_url("redis+sentinel://one/herald")
    assert (plain.username, plain.password, plain.database) == (None, None, 0)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://hush@one,two,three",
        "redis+sentinel://hush@one,two,three/",
        "redis+sentinel://hush@one,,three/herald",
        "redis+sentinel://hush@one:port/herald",
        "redis+sentinel://hush@one:0/herald",
        "redis+sentinel://hush@one/herald/hush",
        "redis+sentinel://hush@one,two,one/herald",
        "redis+sentinel://hush@one/herald?hush=1",
        "redis+sentinel:///herald",
    ],
)
def test_a_bad_address_is_told_what_to_write(url: str) -> None:
    """The variable is named and what to write instead; nothing of the address is shown."""
    with pytest.raises(SettingsError) as refused:
        load_settings(Settings, {"REDIS_URL": url})
    line = str(refused.value)
    assert line.startswith("REDIS_URL is wrong: write redis://host:port")
    assert line.endswith("redis+sentinel://host,host,host/service")


def test_a_bad_address_ends_a_process() -> None:
    """With one line and 78, as other settings do: no restart mends it."""
    done = list_dead_letters("redis+sentinel://hush@one,two,three")
    assert done.returncode == os.EX_CONFIG
    (line,) = done.stderr.splitlines()
    assert line.startswith("dead-letters: REDIS_URL is wrong: write ")
    assert "hush" not in line


def test_a_password_in_the_address_is_not_logged() -> None:
    """Though the address names three hosts, and the password is written in percents."""
    script = (
        "import structlog; from shared.dead_letters import Settings;"
        "from shared.logs import configure_logging, hide_secrets;"
        "hide_secrets(Settings(redis_url='redis+sentinel://u:p%40ss@one:1,two:2/herald'));"
        "configure_logging('x'); structlog.get_logger().info('p%40ss and p@ss')"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True
    )
    assert "*** and ***" in done.stderr


async def test_the_majority_is_believed(
    disagreeing: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Sentinel that was cut off and still names another is outvoted, though it answers first."""
    monkeypatch.setattr(sentinels, "SENTINEL_TIMEOUT", 30.0)  # a busy machine is no outage here
    alone, primary, third = disagreeing
    url = parse_sentinel_url(url_of(*disagreeing))
    for _ in range(20):
        assert await Sentinels(url.sentinels, url.service).primary() == primary.where
    broker = StreamBroker()
    await broker.connect(url_of(*disagreeing), source="/tests")
    await broker.publish_event(SAID, said(1), event_id="a")
    await broker.close()
    assert (alone.client().xlen("said"), primary.client().xlen("said")) == (0, 1)
    third.kill(sentinel=True)
    with pytest.raises(NoPrimaryError, match="do not agree on the primary of herald"):
        await Sentinels(url.sentinels, url.service).primary()
    primary.kill(sentinel=True)
    with pytest.raises(NoPrimaryError, match="only 1 of 3 Sentinels name a primary"):
        await Sentinels(url.sentinels, url.service).primary()
    alone.kill(sentinel=True)
    with pytest.raises(NoPrimaryError, match="only 0 of 3 Sentinels name a primary"):
        await Sentinels(url.sentinels, url.service).primary()


async def test_everything_follows_the_primary(three: Copies) -> None:
    """Publisher, consumer, lease, refusals, probe and tool go on after the primary is killed."""
    handled: set[int] = set()

    async def handle(event: Said, delivery: Delivery) -> None:
        handled.add(event.number)

    broker = StreamBroker()
    broker.subscribe_event(SAID, group="g")(handle)
    await broker.connect(three.url, source="/tests")
    await broker.start_consumers()
    lease = await broker.lease(SAID, "42")
    await lease.acquire()
    await broker.publish_event(SAID, said(1), event_id="a")
    await eventually(lambda: handled == {1})
    before = three.primary()
    await eventually(lambda: all(node.client().xlen("said") == 1 for node in three.nodes))
    before.kill()
    await broker.publish_event(SAID, said(2), event_id="b")
    again = await broker.publish_event(SAID, said(1), event_id="a")
    assert again.duplicate
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(SAID, {"odd": 1}, event_id="c", reason="odd")
    await asyncio.wait_for(lease.acquire(), 60)
    assert await broker.probe(SAID)
    await eventually(lambda: handled == {1, 2}, 60)
    await lease.release()
    await broker.close()
    after = three.primary()
    assert after is not before
    assert [after.client().xlen(key) for key in ("said", SAID.dead_letters)] == [2, 1]
    done = await asyncio.to_thread(list_dead_letters, three.url)
    assert (done.returncode, done.stderr) == (os.EX_OK, "")


async def test_a_demoted_primary_is_left(three: Copies) -> None:
    """What a replica refuses is asked of the primary: no publish waits for an end of its own."""
    broker = StreamBroker()
    await broker.connect(three.url, source="/tests")
    await broker.publish_event(SAID, said(1), event_id="a")
    before = three.primary()
    before.sentinel().execute_command("SENTINEL", "FAILOVER", SERVICE)
    await eventually(lambda: three.primary() is not before, 60)
    before.client().replicaof(*three.primary().where)
    await asyncio.wait_for(broker.publish_event(SAID, said(2), event_id="b"), 60)
    await broker.close()
    await eventually(three.whole, 60)
    assert [node.client().xlen("said") for node in three.nodes] == [2, 2, 2]
