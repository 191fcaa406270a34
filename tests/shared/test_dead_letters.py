"""Dead letters as an operator meets them: listed, shown, replayed once, dropped."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from shared.generated.events import EventRefusedError, command_received
from shared.generated.schemas import CommandReceived
from shared.keys import previous_dead_letters_of
from shared.streams import Delivery, StreamBroker, decode
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.members import FAST

EVENT = CommandReceived(
    command="/command привет", args=["привет"], user_id=1, timestamp=datetime.now(UTC)
)


def tool(server: RedisServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tool as its user does."""
    command = (sys.executable, "-m", "shared.dead_letters", *arguments)
    env = {**os.environ, "REDIS_URL": server.url}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True)


def letters(server: RedisServer) -> list[dict[str, object]]:
    """Return what `list --json` prints."""
    done = tool(server, "list", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
async def buried(broker: StreamBroker, redis_server: RedisServer) -> StreamBroker:
    """A broker, beside one command that a group could not handle."""

    async def fail(event: CommandReceived, delivery: Delivery) -> None:
        raise ValueError("the handler has a bug")

    broker.subscribe_event(command_received, group="backend", limits=FAST)(fail)
    await broker.start_consumers()
    await broker.publish_event(command_received, EVENT, event_id="42:7")
    client = redis_server.client()
    await eventually(lambda: client.xlen(command_received.dead_letters) == 1)
    await broker.stop_consumers()
    return broker


async def test_a_letter_tells_its_story(buried: StreamBroker, redis_server: RedisServer) -> None:
    """`list` has the reason, age and deliveries; `show` has the whole event."""
    (letter,) = letters(redis_server)
    assert letter["event_id"] == "42:7"
    assert letter["reason"] == "ValueError: the handler has a bug"
    assert (letter["group"], letter["deliveries"]) == ("backend", 3)
    listed = tool(redis_server)
    assert "group backend, 3 deliveries  ValueError: the handler has a bug" in listed.stdout
    shown = tool(redis_server, "show", str(letter["id"]))
    assert '"command":"/command привет"' in shown.stdout


async def test_a_replayed_event_is_handled_once(
    buried: StreamBroker, redis_server: RedisServer
) -> None:
    """After a replay the stream holds the event once, under the same id, and groups see it."""
    (letter,) = letters(redis_server)
    first = tool(redis_server, "replay", str(letter["id"]))
    assert first.returncode == 0, first.stderr
    again = tool(redis_server, "replay", str(letter["id"]))
    assert again.returncode == os.EX_DATAERR
    client = redis_server.client()
    entries = client.xrange("command_received")
    assert [decode(command_received, fields)[0] for _, fields in entries] == ["42:7"]
    assert client.xlen(command_received.dead_letters) == 0
    published = await buried.publish_event(command_received, EVENT, event_id="42:7")
    assert published.duplicate

    seen: list[str] = []
    fixed = StreamBroker()

    @fixed.subscribe_event(command_received, group="backend", limits=FAST)
    async def handle(event: CommandReceived, delivery: Delivery) -> None:
        seen.append(delivery.event_id)

    await fixed.connect(redis_server.url)
    await fixed.start_consumers()
    await eventually(lambda: seen == ["42:7"])
    await fixed.close()


async def test_a_replay_of_a_refused_event_lifts_the_refusal(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """An event that was refused by mistake is published, and is a letter no more."""
    envelope = {"specversion": "1.0", "id": "42:8", "source": "/", "type": "command_received"}
    content = {**envelope, "data": EVENT.model_dump(mode="json")}
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(command_received, content, event_id="42:8", reason="mistake")
    assert tool(redis_server, "replay", "all").returncode == 0
    published = await broker.publish_event(command_received, EVENT, event_id="42:8")
    assert published.duplicate
    assert letters(redis_server) == []


async def test_what_would_come_back_is_not_replayed(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """A letter that is no event of the stream stays, with the reason, and the exit code is 65."""
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(command_received, {"odd": 1}, event_id="42:9", reason="odd")
    done = tool(redis_server, "replay", "all")
    assert done.returncode == os.EX_DATAERR
    assert "not replayed: it is no event of this stream" in done.stdout
    assert len(letters(redis_server)) == 1


async def test_a_dropped_letter_stays_refused(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """`drop` deletes the letter for good; its id is not published after all."""
    with pytest.raises(EventRefusedError):
        await broker.refuse_event(command_received, {"odd": 1}, event_id="42:9", reason="odd")
    assert tool(redis_server, "drop", "all", "--json").returncode == 0
    assert letters(redis_server) == []
    with pytest.raises(EventRefusedError, match="odd"):
        await broker.publish_event(command_received, EVENT, event_id="42:9")


async def test_letters_of_an_earlier_release_are_taken_over(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """They stood under another key: none is lost, doubled or younger for it, and order is kept."""
    client, previous = redis_server.client(), previous_dead_letters_of(command_received.name)
    for number in range(3):
        with pytest.raises(EventRefusedError):
            await broker.refuse_event(
                command_received, {"odd": 1}, event_id=f"42:{number}", reason="odd"
            )
    client.rename(command_received.dead_letters, previous)
    before = [id_.decode() for id_, _ in client.xrange(previous)]
    assert [letter["id"] for letter in letters(redis_server)] == before
    assert [letter["event_id"] for letter in letters(redis_server)] == ["42:0", "42:1", "42:2"]
    assert not client.exists(previous)
    # A release that was undone has written there once more, beside a younger letter of this one.
    client.xadd(previous, {"event_id": "42:3", "reason": "odd"}, id="1-1")
    assert [letter["event_id"] for letter in letters(redis_server)][3:] == ["42:3"]
    assert not client.exists(previous)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "1-1"], os.EX_DATAERR, "there is no dead letter 1-1"),
        (["replay"], os.EX_USAGE, "required: ID"),
        (["bury"], os.EX_USAGE, "invalid choice"),
        (["list", "--stream", "none"], os.EX_USAGE, "invalid choice"),
    ],
)
def test_wrong_usage_is_told(
    redis_server: RedisServer, arguments: list[str], code: int, said: str
) -> None:
    """One message that says what is wrong, and its exit code."""
    done = tool(redis_server, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_letters_and_no_redis(redis_server: RedisServer) -> None:
    """An empty list says so with 0; a dead server is one line with 69."""
    assert tool(redis_server).stdout == "no dead letters\n"
    redis_server.kill()
    away = tool(redis_server)
    assert away.returncode == os.EX_UNAVAILABLE
    assert away.stderr.startswith("dead-letters: Redis does not answer")
    assert away.stderr.count("\n") == 1
