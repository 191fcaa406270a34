"""Redis users from the graph: a service can do what its events need, and is refused the rest."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from infra.stack import Plan, load_plan
from infra.stack.secrets import contents, password_of, users_file
from shared.streams import Delivery, EventRefused, EventStream, Limits, StreamBroker, tidying
from tests.servers import RedisServer
from tests.shared.said import Said, said

ROOT = Path(__file__).resolve().parents[2]
STREAM = EventStream(name="command_received", model=Said, retention=0)
FAST = Limits(block=0.05, claim_after=0.3, first_retry=0.01)

FORBIDDEN = {
    "tg_bot": [
        ("XREAD", "STREAMS", "command_received", "0"),
        ("XRANGE", "command_received", "-", "+"),
        ("XREADGROUP", "GROUP", "backend", "me", "STREAMS", "command_received", ">"),
        ("XACK", "command_received", "backend", "1-1"),
        ("XDEL", "command_received", "1-1"),
        ("XGROUP", "DESTROY", "command_received", "backend"),
        ("DEL", "command_received"),
        ("XADD", "other", "*", "a", "b"),
        ("SET", "other", "1"),
        ("GET", "other"),
        ("EVAL", "return redis.call('DEL', KEYS[1])", "1", "command_received"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
        ("PUBLISH", "command_received", "x"),
    ],
    "reader": [
        ("XADD", "command_received", "*", "a", "b"),
        ("EVAL", "return redis.call('XADD', KEYS[1], '*', 'a', 'b')", "1", "command_received"),
        ("XTRIM", "command_received", "MAXLEN", "0"),
        ("EVAL", "return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)", "1", "command_received"),
        ("XGROUP", "DELCONSUMER", "command_received", "g", "m"),
        ("XDEL", "command_received", "1-1"),
        ("XGROUP", "DESTROY", "command_received", "g"),
        ("DEL", "command_received"),
        ("XREADGROUP", "GROUP", "g", "me", "STREAMS", "other", ">"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("ACL", "SETUSER", "reader", "+@all"),
    ],
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Our own stack with one more service, which only reads."""
    text = (ROOT / "services.yml").read_text(encoding="utf-8")
    text += """
  - name: reader
    type: python-faststream
    depends_on: [redis]
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
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
    (part,) = (one for one in plan.infrastructure if one.type == "redis")
    texts = contents(plan, {})
    with RedisServer("--aclfile", str(path)) as server:
        path.write_text(texts[users_file(part)])
        server.client().execute_command("ACL", "LOAD")
        names = ["operator", "tg_bot", "backend", "reader"]
        yield {
            name: f"redis://{name}:{texts[password_of(part, name)]}@127.0.0.1:{server.port}"
            for name in names
        } | {"nobody": server.url}


def refused(url: str, *command: str) -> str:
    """Return why a command is refused."""
    with redis.Redis.from_url(url) as client, pytest.raises(redis.RedisError) as caught:
        client.execute_command(*command)
    return str(caught.value)


async def test_the_runtime_needs_no_more_than_it_is_allowed(
    users: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publish, refuse, lease, consume, retry, dead-letter, claim, trim: nothing is refused."""
    monkeypatch.setattr(tidying, "EVERY", 0.2)
    monkeypatch.setattr(tidying, "LOOK_EVERY", 0.1)
    publisher, consumer = StreamBroker(), StreamBroker()
    seen: list[int] = []

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == 1 or (event.number == 2 and delivery.attempt == 1):
            raise RuntimeError("not this one")
        seen.append(event.number)

    consumer.subscribe_event(STREAM, group="g", limits=FAST)(handle)
    await publisher.connect(users["tg_bot"])
    await consumer.connect(users["reader"])
    await publisher.wait_until_writable(STREAM)
    await consumer.start_consumers()
    for number in range(5):
        await publisher.publish_event(STREAM, said(number), event_id=f"id-{number}")
    with pytest.raises(EventRefused):
        await publisher.refuse_event(STREAM, {"a": 1}, event_id="bad", reason="of no use")
    lease = await publisher.lease(STREAM, "42")
    await lease.acquire()
    await lease.release()
    operator: Any = redis.Redis.from_url(users["operator"])
    async with asyncio.timeout(30):
        while len(seen) < 4 or operator.xlen(STREAM.dead_letters) < 2:
            await asyncio.sleep(0.02)
        while operator.xlen("command_received") > 3:
            await asyncio.sleep(0.02)
    (member,) = consumer.consumers
    assert (await member.state()).running
    await publisher.close()
    await consumer.close()
    assert operator.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize(
    ("user", "command"),
    [(user, command) for user, commands in FORBIDDEN.items() for command in commands],
)
def test_what_the_graph_does_not_give_is_refused(
    user: str, command: tuple[str, ...], users: dict[str, str]
) -> None:
    """Neither another key nor another command works, in a script either."""
    with redis.Redis.from_url(users["operator"]) as operator:
        operator.xadd("command_received", {"a": "b"})
    said_no = refused(users[user], *command)
    assert "permission" in said_no or "NOPERM" in said_no


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
