"""Redis users from the graph: a service can do what its events need, and is refused the rest."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from pydantic_core import from_json
from redis.exceptions import NoPermissionError

from infra.stack import Plan, Service, load_plan
from infra.stack.compose.acl import CONNECT, acl_arguments, rules
from infra.stack.compose.secrets import contents, password_of, users_file
from infra.stack.plan import Infrastructure
from shared.console.views import Views
from shared.generated.schemas import CommandReceived
from shared.keys import beside, lease_of, marker, probe_of, replayed_of
from shared.streams import Delivery, EventRefusedError, EventStream, Limits, StreamBroker, tidying
from shared.streams.event.envelope import encode
from tests.infra.stack import STACK
from tests.servers import RedisServer
from tests.shared.said import Said, said

if TYPE_CHECKING:
    from infra.stack.plan import Overlay

ROOT = Path(__file__).resolve().parents[2]
STREAM = EventStream(name="command_received", model=Said, retention=0)
FAST = Limits(block=0.05, claim_after=0.3, first_retry=0.01)

LETTERS, MARKER = STREAM.dead_letters, marker(STREAM.name, "42:7")
LEASE, PROBE = lease_of(STREAM.name, "42"), probe_of(STREAM.name)

ADMIN = [
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "reader", "+@all"),
    ("SHUTDOWN",),
    ("MONITOR",),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("FUNCTION", "FLUSH"),
    ("PUBLISH", STREAM.name, "x"),
    ("SET", "other", "1"),
    ("GET", "other"),
    ("XADD", "other", "*", "a", "b"),
    ("XADD", "{other}.dlq", "*", "a", "b"),
    ("XREADGROUP", "GROUP", "g", "me", "STREAMS", "other", ">"),
]
"""What no service does, whatever it publishes or reads."""
DESTROY = [
    ("SET", STREAM.name, "wiped"),
    ("SET", LETTERS, "wiped"),
    ("GETSET", STREAM.name, "wiped"),
    ("DEL", STREAM.name),
    ("UNLINK", STREAM.name),
    ("EXPIRE", STREAM.name, "1"),
    ("RENAME", STREAM.name, "{command_received}:gone"),
    ("COPY", "{command_received}:none", STREAM.name, "REPLACE"),
    ("RESTORE", STREAM.name, "0", "x", "REPLACE"),
    ("XDEL", STREAM.name, "1-1"),
    ("XDEL", LETTERS, "1-1"),
    ("XTRIM", LETTERS, "MAXLEN", "0"),
    ("XSETID", STREAM.name, "9999999999999-0"),
    ("XGROUP", "DESTROY", STREAM.name, "backend"),
    ("XGROUP", "SETID", STREAM.name, "backend", "$"),
    ("DEL", MARKER),
]
"""What would take away events, letters or markers; nobody but the operator may."""
FORBIDDEN = {
    "tg_bot": [
        *ADMIN,
        *DESTROY,
        ("GET", STREAM.name),
        ("XREAD", "STREAMS", STREAM.name, "0"),
        ("XRANGE", STREAM.name, "-", "+"),
        ("XRANGE", LETTERS, "-", "+"),
        ("XREADGROUP", "GROUP", "backend", "me", "STREAMS", STREAM.name, ">"),
        ("XGROUP", "CREATE", STREAM.name, "mine", "0"),
        ("XACK", STREAM.name, "backend", "1-1"),
        ("XCLAIM", STREAM.name, "backend", "me", "0", "1-1"),
    ],
    "reader": [
        *ADMIN,
        *DESTROY,
        ("XADD", STREAM.name, "*", "a", "b"),
        ("XTRIM", STREAM.name, "MAXLEN", "0"),
        ("XGROUP", "DELCONSUMER", STREAM.name, "g", "m"),
        ("SET", MARKER, "refused:never"),
        ("SET", MARKER, "1-1", "PX", "1"),
        ("SET", LEASE, "mine"),
        ("SET", f"{LEASE}:token", "99"),
        ("GET", LEASE),
        ("SET", PROBE, "1"),
        ("XREAD", "STREAMS", LETTERS, "0"),
        ("XREADGROUP", "GROUP", "g", "me", "STREAMS", LETTERS, ">"),
    ],
    "shower": [
        *ADMIN,
        *(command for command in DESTROY if command[0] != "XDEL"),
        ("XTRIM", STREAM.name, "MAXLEN", "0"),
        ("XADD", LETTERS + "2", "*", "a", "b"),
        ("SET", LEASE, "mine"),
        ("GET", LEASE),
        ("ZADD", LEASE, "1", "a"),
    ],
}
SCRIPTED = {"SCAN", "SHUTDOWN", "MONITOR", "SCRIPT", "REPLICAOF", "CLIENT", "CONFIG"}
"""Commands that no script may call, whoever sends it."""
ATTACKS = [(user, command) for user, commands in FORBIDDEN.items() for command in commands]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Our own stack with one more service, which only reads."""
    text = STACK.read_text(encoding="utf-8")
    text += """
  - name: reader
    type: python-faststream
    depends_on: [redis]
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
  - name: shower
    type: python-faststream
    depends_on: [redis]
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
    console: [prod]
"""
    (tmp_path / "shared").symlink_to(ROOT / "shared")
    path = tmp_path / "services.yml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path)


@pytest.fixture
def users(plan: Plan, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server that has exactly the rendered users; the URL of each by its name."""
    path = tmp_path / "users"
    path.write_text("user default on nopass ~* &* +@all\n")
    (part,) = (part for part in plan.infrastructure if part.type == "redis")
    texts = contents(plan, {})
    with RedisServer("--aclfile", str(path)) as server:
        path.write_text(texts[users_file(part)])
        server.client().execute_command("ACL", "LOAD")
        names = ["operator", "tg_bot", "backend", "reader", "shower"]
        yield {
            name: f"redis://{name}:{texts[password_of(part, name)]}@127.0.0.1:{server.port}"
            for name in names
        } | {"nobody": server.url}


def refused(url: str, *command: str) -> str:
    """Return why a command is refused."""
    with redis.Redis.from_url(url) as client, pytest.raises(redis.RedisError) as caught:
        client.execute_command(*command)
    return str(caught.value)


async def test_the_runtime_needs_what_it_is_allowed_and_no_more(
    users: dict[str, str], plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that publishers and readers do works, and no command is allowed that none of it needs."""
    monkeypatch.setattr(tidying, "EVERY", 0.2)
    monkeypatch.setattr(tidying, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(tidying, "CONSUMER_GONE_AFTER", 0.5)
    operator: Any = redis.Redis.from_url(users["operator"])
    operator.zadd(replayed_of(STREAM.name), {"1-1": 1})
    operator.config_resetstat()
    publisher, consumer = StreamBroker(), StreamBroker()
    await publisher.connect(users["tg_bot"])
    await consumer.connect(users["reader"])
    await publish(publisher)
    seen = await consume(consumer, users["reader"])
    async with asyncio.timeout(30):
        while len(seen) < 4 or operator.xlen(LETTERS) < 2:
            await asyncio.sleep(0.02)
        while operator.xlen(STREAM.name) > 3 or len(operator.xinfo_consumers(STREAM.name, "g")) > 1:
            await asyncio.sleep(0.02)
        while operator.exists(replayed_of(STREAM.name)):
            await asyncio.sleep(0.02)
    (member,) = consumer.consumers
    assert (await member.state()).running
    assert await consumer.oldest(STREAM) is not None
    await consumer.close()
    await publisher.close()
    assert operator.execute_command("ACL", "LOG") == []
    used = {name.removeprefix("cmdstat_") for name in operator.info("commandstats")}
    for user in ("tg_bot", "reader"):
        assert allowed(plan.service(user), plan.infrastructure[0]) - set(CONNECT) <= {
            f"+{name}" for name in used
        }


async def test_a_console_may_do_what_it_shows_and_no_more(
    users: dict[str, str], plan: Plan
) -> None:
    """It follows every stream, replays and drops; without `console:` Redis refuses that."""
    operator: Any = redis.Redis.from_url(users["operator"])
    publisher = StreamBroker()
    await publisher.connect(users["tg_bot"])
    for number in range(2):
        event = CommandReceived(command="/x", args=[], user_id=1, timestamp=said(1).at)
        content = from_json(encode(event, event_id=f"e{number}", kind=STREAM.name, source="/tests"))
        with pytest.raises(EventRefusedError):
            await publisher.refuse_event(STREAM, content, event_id=f"e{number}", reason="no use")
    await publisher.close()
    operator.xgroup_create(STREAM.name, "g", id="0", mkstream=True)
    operator.xadd(STREAM.name, {"__data__": "{}"})
    operator.xreadgroup("g", "me", {STREAM.name: ">"})
    operator.xadd(STREAM.name, {"__data__": "{}"})
    operator.config_resetstat()
    views = Views(users["shower"])
    async with asyncio.timeout(30), aclosing(views.follow()) as happening:
        async for message in happening:
            if "entry" in message:
                break
    listed = (await views.letters())["letters"]
    first, second = (each["id"] for each in listed if each["stream"] == STREAM.name)
    replayed = await views.decide("replay", STREAM.name, [first], "me")
    dropped = await views.decide("drop", STREAM.name, [second], "me")
    assert replayed["outcomes"][0]["replayed"]
    assert dropped["outcomes"][0]["dropped"]
    assert operator.execute_command("ACL", "LOG") == []
    used = {f"+{name.removeprefix('cmdstat_')}" for name in operator.info("commandstats")}
    shower, part = plan.service("shower"), plan.infrastructure[0]
    mine = words(rules(shower, part, [STREAM.name])) - words(rules(shower, part))
    assert mine <= used
    with pytest.raises(NoPermissionError):
        await Views(users["reader"]).standing()


def test_a_console_has_its_rights_where_it_is_and_nowhere_else(plan: Plan) -> None:
    """In the overlays that it names: the same service elsewhere is a reader like others."""
    (part,) = (part for part in plan.infrastructure if part.type == "redis")
    overlays: dict[Overlay, bool] = {"prod": True, "dev": False, "tests": False}
    for overlay, more in overlays.items():
        line = " ".join(acl_arguments(plan, part, overlay)).partition("shower")[2]
        assert ("+xrevrange" in line.partition("--user")[0]) is more


async def publish(broker: StreamBroker) -> None:
    """Do what publishers do: probe, publish, refuse, measure, park, lease; they trim unasked."""
    await broker.wait_until_writable(STREAM)
    for number in range(3):
        await broker.publish_event(STREAM, said(number), event_id=f"id-{number}")
    await broker.publish_events(STREAM, [(f"id-{number}", said(number)) for number in range(5)])
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(STREAM, {"a": 1}, event_id="bad", reason="of no use")
    broker.publisher_of(STREAM)
    assert await broker.dead_letters() == {STREAM.name: 1}
    client, parked = await broker.connect(), beside(STREAM.name, "parked:42")
    await client.hset(parked, "5", "an update")
    assert list(await client.hgetall(parked)) == [b"5"]
    await client.hdel(parked, "5")
    lease = await broker.lease(STREAM, "42")
    await lease.acquire()
    await lease.release()


async def consume(broker: StreamBroker, url: str) -> list[int]:
    """Do what readers do: read, retry, bury, claim what a dead one left; return what is handled."""
    with redis.Redis.from_url(url) as dead:
        dead.xgroup_create(STREAM.name, "g", id="0")
        dead.xreadgroup("g", "dead", {STREAM.name: ">"}, count=1)
    seen: list[int] = []

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == 1 or (event.number == 2 and delivery.attempt == 1):
            raise RuntimeError("not this one")
        seen.append(event.number)

    broker.subscribe_event(STREAM, group="g", limits=FAST)(handle)
    await broker.start_consumers()
    return seen


def allowed(service: Service, redis: Infrastructure) -> set[str]:
    """Return every command that a service's rules allow."""
    return words(rules(service, redis))


def words(selectors: Iterable[str]) -> set[str]:
    """Return the commands in ACL rules."""
    return {word for rule in selectors for word in rule.strip("()").split() if word[0] == "+"}


@pytest.mark.parametrize(("user", "command"), ATTACKS)
def test_what_the_graph_does_not_give_is_refused(
    user: str, command: tuple[str, ...], users: dict[str, str]
) -> None:
    """Neither by itself nor from a script that names a key which the user may touch."""
    with redis.Redis.from_url(users["operator"]) as operator:
        operator.xadd(STREAM.name, {"a": "b"})
        before = operator.dump(STREAM.name)
        assert denied(refused(users[user], *command))
        if command[0] not in SCRIPTED | {"ACL", "FUNCTION"}:
            assert denied(refused_in_script(users[user], command))
        assert operator.dump(STREAM.name) == before


def denied(said: str) -> bool:
    """Say whether an answer of Redis is that the user has no right to it."""
    return "permission" in said.lower()


def refused_in_script(url: str, command: tuple[str, ...]) -> str:
    """Return why a command is refused to a script that is told of the stream only."""
    with redis.Redis.from_url(url) as client:
        sha = client.script_load("return redis.call(unpack(ARGV))")
        with pytest.raises(redis.RedisError) as caught:
            client.evalsha(sha, 1, STREAM.name, *command)
    return str(caught.value)


def test_a_script_is_refused_a_key_that_is_not_ours(users: dict[str, str]) -> None:
    """Already when it names it."""
    with redis.Redis.from_url(users["reader"]) as client:
        sha = client.script_load("return 1")
    for user, key in (("reader", LEASE), ("reader", "other"), ("tg_bot", "other")):
        assert denied(refused(users[user], "EVALSHA", sha, "1", key))


def test_what_a_reader_may_not_write_it_may_not_spoil(users: dict[str, str]) -> None:
    """It makes a group of its own at most, and looks up whether an id is published."""
    with redis.Redis.from_url(users["operator"]) as operator:
        operator.set(MARKER, "1-1")
    with redis.Redis.from_url(users["reader"]) as reader:
        assert reader.get(MARKER) == b"1-1"
        assert reader.xgroup_create(STREAM.name, "another", id="0", mkstream=True)


def test_nobody_gets_in_without_a_password(users: dict[str, str]) -> None:
    """The default user is off, and no password is its own."""
    assert "authenticat" in refused(users["nobody"], "PING").lower()
    guessed = users["nobody"].replace("//", "//default:default@")
    assert "invalid" in refused(guessed, "PING").lower()


def test_a_password_opens_one_account_only(users: dict[str, str]) -> None:
    """The bot's password is no good for the backend's user."""
    stolen = users["tg_bot"].replace("//tg_bot:", "//backend:")
    assert "invalid" in refused(stolen, "PING").lower()


def test_passwords_are_kept_and_never_in_the_clear(plan: Plan) -> None:
    """A second run makes nothing new, and Redis' file of users has hashes only."""
    first = contents(plan, {})
    assert contents(plan, first) == first
    passwords = [text for name, text in first.items() if name.endswith("_PASSWORD")]
    assert passwords
    assert not any(password in first["REDIS_USERS"] for password in passwords)
