"""Whatever others add to a stream is handled, or whole in the dead letters, and stops nothing."""

import json
import random
from typing import Any

import pytest

from shared.dead_letters import STREAMS
from shared.streams import Delivery, Limits, StreamBroker
from shared.streams.dead_letters.letters import fields_of
from tests.conditions import eventually
from tests.servers import RedisServer
from tests.shared.said import SAID, Said, said
from tests.shared.test_dead_letters import letters, tool

pytestmark = pytest.mark.usefixtures("way")

ENTRIES = 10_000
SEED = 20260131
WIDE = Limits(in_hand=500, concurrency=500, block=0.05)
Entry = dict[bytes, bytes]


def some_bytes(chance: random.Random) -> bytes:
    """Return text, or bytes that are none, or what steers a terminal."""
    return chance.choice(
        [
            chance.randbytes(chance.randint(0, 12)),
            "привет 🚀".encode(),
            b"\x1b]0;owned\x07\x1b[2J",
            b"",
            str(chance.random()).encode(),
            b"\xed\xa0\x80",
        ]
    )


def some_json(chance: random.Random, depth: int = 3) -> Any:
    """Return something that JSON can say."""
    leaves = [None, True, -1, 1e300, 2**80, "", "text", "\x00\x1b[31m", "\ud800", "x" * 300]
    if depth == 0 or chance.random() < 0.5:
        return chance.choice(leaves)
    if chance.random() < 0.3:
        return [some_json(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    names = ("id", "data", "type", "source", "specversion", "text", "\x1b")
    return {chance.choice(names): some_json(chance, depth - 1) for _ in range(3)}


def near_miss(chance: random.Random, number: int) -> bytes:
    """Return an envelope of which one attribute, or nothing, is not as it should be."""
    content: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{number}",
        "source": "/there",
        "type": SAID.name,
        "data": said(number).model_dump(mode="json"),
    }
    match chance.randrange(4):
        case 0:
            content[chance.choice(list(content))] = some_json(chance)
        case 1:
            del content[chance.choice(list(content))]
        case 2:
            content["data"][chance.choice(["text", "number", "at"])] = some_json(chance)
        case 3:
            content["traceparent"] = "00-1-2-01"
    raw = json.dumps(content).encode()
    return raw[: chance.randrange(len(raw))] if chance.random() < 0.1 else raw


def entry(chance: random.Random, number: int) -> Entry:
    """Return the fields of an entry that somebody else has added."""
    fields = {some_bytes(chance): some_bytes(chance) for _ in range(chance.randint(0, 3))}
    kind = chance.randrange(3)
    if kind == 0:
        fields[b"__data__"] = near_miss(chance, number)
    elif kind == 1:
        fields[b"__data__"] = json.dumps(some_json(chance)).encode()
    return fields or {b"a": b"b"}


async def test_ten_thousand_foreign_entries_are_handled_or_kept(
    broker: StreamBroker, redis_server: RedisServer
) -> None:
    """Each has its end, with everything that it had, and an event of ours after them is handled."""
    chance = random.Random(SEED)  # noqa: S311 — a test, no secret
    pipe = redis_server.client().pipeline(transaction=False)
    sent = [entry(chance, number) for number in range(ENTRIES)]
    for fields in sent:
        pipe.xadd(SAID.name, fields)
    foreign = {id_.decode(): fields for id_, fields in zip(pipe.execute(), sent, strict=True)}
    handled: dict[str, int] = {}

    async def handle(event: Said, delivery: Delivery) -> None:
        handled[delivery.entry_id] = handled.get(delivery.entry_id, 0) + 1

    broker.subscribe_event(SAID, group="g", limits=WIDE)(handle)
    await broker.start_consumers()
    ours = await broker.publish_event(SAID, said(1), event_id="ours")
    client = redis_server.client()
    await eventually(
        lambda: ours.entry_id in handled and not client.xpending(SAID.name, "g")["pending"],
        seconds=100,
    )
    kept = {letter[b"entry_id"].decode(): letter for _, letter in client.xrange(SAID.dead_letters)}
    assert kept.keys() | handled.keys() == foreign.keys() | {ours.entry_id}
    assert not kept.keys() & handled.keys()
    assert set(handled.values()) == {1}
    assert len(kept) > ENTRIES / 2
    assert len(handled) > ENTRIES / 20
    for id_, letter in kept.items():
        whole = fields_of(letter.get(b"fields", b"")) | (
            {b"__data__": letter[b"__data__"]} if b"__data__" in foreign[id_] else {}
        )
        assert whole == foreign[id_]
    assert broker.consumers[0].running


def test_odd_letters_do_not_break_the_tool(redis_server: RedisServer) -> None:
    """Letters that the runtime did not write are listed, shown, not replayed, and dropped."""
    chance = random.Random(SEED)  # noqa: S311 — a test, no secret
    client, stream = redis_server.client(), STREAMS["command_received"]
    names = [b"event_id", b"reason", b"group", b"entry_id", b"deliveries", b"time", b"fields"]
    for _ in range(300):
        fields = {name: some_bytes(chance) for name in names if chance.random() < 0.7}
        client.xadd(stream.dead_letters, fields | entry(chance, 1))
    client.xadd(
        stream.dead_letters, {"deliveries": "9" * 5000, "time": "0001-01-01T00:00:00+00:00"}
    )
    client.xadd(stream.dead_letters, {"deliveries": "²", "entry_id": "9-9", "fields": "[" * 5000})
    assert len(letters(redis_server)) == 302
    for verb, code in (("list", 0), ("show", 0), ("replay", 65), ("drop", 0)):
        done = tool(redis_server, verb, *([] if verb == "list" else ["all"]))
        assert (done.returncode, done.stderr) == (code, "")
        assert "\x1b" not in done.stdout
        assert "\x07" not in done.stdout
    assert client.xlen(stream.dead_letters) == 0


def test_what_steers_a_terminal_is_shown_escaped(redis_server: RedisServer) -> None:
    """In every field, and the direction of text as well; JSON has escapes of its own."""
    client, stream = redis_server.client(), STREAMS["command_received"]
    bad = "\x1b[31m\x9b\u202e\n"
    client.xadd(
        stream.dead_letters,
        {
            **{name: f"{name}{bad}" for name in ("event_id", "source", "reason", "group")},
            "entry_id": f"e{bad}",
            "fields": json.dumps({f"n{bad}": f"v{bad}"}),
            "__data__": f"payload{bad}",
        },
    )
    for verb in (["list"], ["show", "all"], ["show", "all", "--json"], ["replay", "all"]):
        output = tool(redis_server, *verb).stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(output)
    shown = tool(redis_server, "show", "all").stdout
    for part in ("event_id", "source", "reason", "group", "e", "n", "v", "payload"):
        assert f"{part}\\x1b[31m\\x9b\\u202e\\n" in shown
