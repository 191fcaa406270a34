"""Updates of every shape end somewhere: in the stream, in an answer, or in the dead letters."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared.generated.events import command_received, telegram_update
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.processes import Service, health_of, simulator, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot

FAILING_BOT = ("-m", "tests.shared.telegram.failing_bot")
DATE = 1_790_000_000
USERS = itertools.count(100)
TEXT = "some secret between us"
KEPT, PUBLISHED = "Something went wrong on my side.", "Command published!"
HELP, NOT_SENT = "Here is what I understand:", "Failed to send command."


@pytest.fixture(scope="module")
def processes() -> Iterator[tuple[RedisServer, Service, Service]]:
    """Redis, simulator and a healthy bot, for all tests of the module."""
    with RedisServer() as server, simulator(limits=False) as sim:
        sim.wait_for(f"{url_of(sim)}/health")
        service = bot(server.url, url_of(sim))
        service.variables |= {"REPLIES_PER_SECOND": "0", "LOG_LEVEL": "DEBUG"}
        with service:
            service.wait_for(health_of(service))
            yield server, sim, service


@pytest.fixture
def sim(processes: tuple[RedisServer, Service, Service]) -> Service:
    """The module's simulator."""
    return processes[1]


def message(user: int, **fields: Any) -> dict[str, Any]:
    """Return a command of a user, with some fields replaced; those of `...` are left out."""
    sender = {"id": user, "is_bot": False, "first_name": "Ada"}
    sound = {
        "message_id": 1,
        "date": DATE,
        "chat": {"id": user, "type": "private", "first_name": "Ada"},
        "from": sender,
        "text": f"/command {TEXT}",
    }
    return {name: value for name, value in (sound | fields).items() if value is not ...}


def private(user: int, **fields: Any) -> dict[str, Any]:
    """Return the message's chat with some fields replaced."""
    return {"id": user, "type": "private", "first_name": "Ada", **fields}


QUOTED: dict[str, Any] = {"message_id": 9, "date": DATE, "chat": {"id": 5, "title": TEXT}}
ODD_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "reply to one whose chat lacks its type": ({"reply_to_message": QUOTED}, KEPT),
    "reply to one that is empty": ({"reply_to_message": {"text": TEXT}}, KEPT),
    "quote without position": ({"quote": {"text": TEXT}}, KEPT),
    "forwarded from nobody": ({"forward_origin": {"type": "user", "date": DATE}}, KEPT),
    "sticker without a size": ({"text": ..., "sticker": {"file_id": TEXT}}, KEPT),
    "photo of numbers": ({"text": ..., "photo": [1, 2]}, KEPT),
    "contact without a name": ({"text": ..., "contact": {"phone_number": "1"}}, KEPT),
    "entity without an offset": ({"entities": [{"type": "bold", "length": 3}]}, KEPT),
    "entities that are a number": ({"entities": 7}, KEPT),
    "entities that are null": ({"entities": None}, KEPT),
    "date that is a word": ({"date": TEXT}, KEPT),
    "date that is null": ({"date": None}, KEPT),
    "date beyond all years": ({"date": 10**18}, KEPT),
    "no date": ({"date": ...}, KEPT),
    "no message_id": ({"message_id": ...}, KEPT),
    "message_id that is a word": ({"message_id": "one"}, PUBLISHED),
    "text that is a number": ({"text": 7}, KEPT),
    "text that is a list": ({"text": [TEXT]}, KEPT),
    "text that is null": ({"text": None}, HELP),
    "text that is half a character": ({"text": "/command \ud83d"}, NOT_SENT),
    "sender that is a word": ({"from": TEXT}, KEPT),
    "no sender": ({"from": ...}, NOT_SENT),
    "sender without a name": ({"from": {"id": 7, "is_bot": False}}, KEPT),
    "sender with a huge id": (
        {"from": {"id": 2**70, "is_bot": False, "first_name": "A"}},
        NOT_SENT,
    ),
    "sender that is null": ({"from": None}, KEPT),
    "three hundred levels deep": (
        {"reply_to_message": {"chat": json.loads('{"a":' * 300 + "1" + "}" * 300)}},
        KEPT,
    ),
    "field of tomorrow": ({"field_of_tomorrow": {"a": [1, None]}}, PUBLISHED),
}


@pytest.mark.parametrize("name", ODD_MESSAGES)
async def test_no_message_ends_nowhere(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient, name: str
) -> None:
    """It is published, answered, or kept in the dead letters with its chat told; then confirmed."""
    server, _, service = processes
    fields, expected = ODD_MESSAGES[name]
    user = next(USERS)
    known = await telegram.write("/help", user=user)
    helped = await telegram.wait_for_answer(user, after=known.message_id)
    update_id = await telegram.inject({"message": message(user, **fields)}, expires_in=3600)
    answer = await telegram.wait_for_answer(user, after=helped.message_id)
    assert answer.text.startswith(expected)
    event_id = f"42:{update_id}"
    assert event_ids(server, command_received.name).count(event_id) == (expected == PUBLISHED)
    assert letters_of(server, command_received.dead_letters, event_id) == (expected == NOT_SENT)
    assert letters_of(server, telegram_update.dead_letters, event_id) == (expected == KEPT)
    await eventually_confirmed(telegram, server)
    assert TEXT not in service.log
    assert service.exit_code is None


NOBODY_TO_TELL: dict[str, dict[str, Any]] = {
    "message that is empty": {"message": {}},
    "message that is a word": {"message": TEXT},
    "message that is a list": {"message": [{"chat": {"id": 5}}]},
    "chat that is a word": {"message": {"message_id": 3, "date": DATE, "chat": TEXT, "text": "a"}},
    "chat whose id is a fraction": {"message": {"chat": {"id": 1.5}}},
    "chat whose id is true": {"message": {"chat": {"id": True}}},
    "chat whose id is huge": {"message": {"chat": {"id": 2**64}}},
    "edited message without anything": {"edited_message": {"edit_date": 1}},
}


@pytest.mark.parametrize("name", NOBODY_TO_TELL)
async def test_an_update_without_a_chat_is_kept_all_the_same(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient, name: str
) -> None:
    """Nobody can be told; the update stands in the dead letters as Telegram wrote it."""
    server, _, service = processes
    update_id = await telegram.inject(NOBODY_TO_TELL[name], expires_in=3600)
    event_id = f"42:{update_id}"
    await eventually(lambda: letters_of(server, telegram_update.dead_letters, event_id) == 1)
    await eventually_confirmed(telegram, server)
    (letter,) = (
        letter
        for letter in letters(server, telegram_update.dead_letters)
        if letter[b"event_id"].decode() == event_id
    )
    event = json.loads(letter[b"__data__"])
    assert event["data"]["update"] == {"update_id": update_id, **NOBODY_TO_TELL[name]}
    assert TEXT not in letter[b"reason"].decode()
    assert TEXT not in service.log


async def test_a_kind_that_nobody_handles_is_confirmed(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient
) -> None:
    """A message that is null is none; it is neither kept nor waited for."""
    server, _, _ = processes
    before = len(letters(server, telegram_update.dead_letters))
    await telegram.inject({"message": None}, expires_in=3600)
    await eventually_confirmed(telegram, server)
    assert len(letters(server, telegram_update.dead_letters)) == before


async def test_what_a_handler_raised_at_is_replayed_to_the_handlers(
    redis_server: RedisServer,
) -> None:
    """It is buried again while the handler fails, handled when it is mended, published once."""
    server = redis_server
    with simulator(limits=False) as sim, bot(server.url, url_of(sim)) as failing:
        failing.kill()
        failing.start(sys.executable, *FAILING_BOT)
        await asyncio.to_thread(failing.wait_for, health_of(failing))
        async with SimClient(url_of(sim)) as telegram:
            written = await telegram.write(f"/command {TEXT}", user=7)
            published = await telegram.wait_for_answer(7, after=written.message_id)
            kept = await telegram.wait_for_answer(7, after=published.message_id)
            assert {published.text, kept.text[: len(KEPT)]} == {PUBLISHED, KEPT}
            await eventually_confirmed(telegram, server)

            (letter,) = listed(server)
            assert letter["stream"] == "telegram_update"
            assert letter["reason"] == "ValueError: nothing can be done with ['…', '…', '…', '…']"
            replay(server, letter["id"])
            await eventually(
                lambda: [row["id"] for row in listed(server)] not in ([], [letter["id"]])
            )
            (again,) = listed(server)
            assert again["event_id"] == letter["event_id"]
            assert again["group"] == "a_bot"
            assert TEXT not in failing.log
            assert await asyncio.to_thread(failing.terminate) == 0

            with bot(server.url, url_of(sim)) as mended:
                await asyncio.to_thread(mended.wait_for, health_of(mended))
                replay(server, again["id"])
                answer = await telegram.wait_for_answer(7, after=kept.message_id)
                assert answer.text == PUBLISHED
                client = server.client()
                await eventually(
                    lambda: client.xpending("telegram_update", "a_bot")["pending"] == 0
                )
            assert listed(server) == []
            assert event_ids(server, "command_received") == [letter["event_id"]]


def event_ids(server: RedisServer, stream: str) -> list[str]:
    """Return the id of each event in a stream."""
    entries = server.client().xrange(stream)
    return [json.loads(fields[b"__data__"])["id"] for _, fields in entries]


def letters(server: RedisServer, key: str) -> list[dict[bytes, bytes]]:
    """Return a stream's dead letters."""
    return [fields for _, fields in server.client().xrange(key)]


def letters_of(server: RedisServer, key: str, event_id: str) -> int:
    """Return how many of a stream's dead letters are of one event."""
    return [letter[b"event_id"].decode() for letter in letters(server, key)].count(event_id)


async def eventually_confirmed(telegram: SimClient, server: RedisServer) -> None:
    """Wait until neither Telegram nor Redis keeps anything for the bot any more."""
    async with asyncio.timeout(60):
        while (await telegram.overview()).bot.pending or server.client().keys("*:parked:*"):
            await asyncio.sleep(0.02)


def dead_letters(server: RedisServer, *arguments: str) -> str:
    """Run the operator's tool and return what it prints."""
    command = (sys.executable, "-m", "shared.dead_letters", *arguments)
    env = {**os.environ, "REDIS_URL": server.url}
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(server: RedisServer) -> list[dict[str, Any]]:
    """Return what `list --json` prints."""
    return [json.loads(line) for line in dead_letters(server, "list", "--json").splitlines()]


def replay(server: RedisServer, letter: str) -> None:
    """Replay one letter."""
    assert "replayed as telegram_update" in dead_letters(server, "replay", letter)
