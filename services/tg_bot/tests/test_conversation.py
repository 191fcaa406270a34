"""What a Telegram user sees, and what of it reaches the stream."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from shared.generated.events import command_received
from telegram_sim.client import SimClient
from tests.processes import TOKEN, Service, bot, health_of, simulator, url_of
from tests.servers import RedisServer
from tg_bot.handlers import COMMANDS


@pytest.fixture(scope="module")
def processes() -> Iterator[tuple[RedisServer, Service, Service]]:
    """Redis, simulator and a healthy bot whose backend is away, for all tests of the module."""
    with RedisServer() as server, simulator() as sim:
        sim.wait_for(f"{url_of(sim)}/health")
        with bot(server.url, url_of(sim)) as service:
            service.wait_for(health_of(service))
            yield server, sim, service


@pytest.fixture
def redis_server(processes: tuple[RedisServer, Service, Service]) -> RedisServer:
    """The module's Redis, emptied."""
    processes[0].client().flushall()
    return processes[0]


@pytest.fixture
def sim(processes: tuple[RedisServer, Service, Service]) -> Service:
    """The module's simulator."""
    return processes[1]


@pytest.fixture
def running(processes: tuple[RedisServer, Service, Service]) -> Service:
    """The module's bot."""
    return processes[2]


async def ask(telegram: SimClient, text: str, user: int = 1) -> str:
    """Write to the bot and return its first answer."""
    written = await telegram.write(text, user=user)
    return (await telegram.wait_for_answer(user, after=written.message_id)).text


def events(server: RedisServer, stream: str = "command_received") -> list[dict[str, Any]]:
    """Return the `data` of each event in a stream."""
    entries = server.client().xrange(stream)
    return [json.loads(fields[b"__data__"]) for _, fields in entries]


async def test_start_without_the_backend_says_try_again(
    running: Service, telegram: SimClient
) -> None:
    """A user who cannot be registered is told so; nothing breaks."""
    assert "try again later" in await ask(telegram, "/start")


@pytest.mark.parametrize("text", ["/help", "/unknown", "/commands"])
async def test_help_lists_the_commands(running: Service, telegram: SimClient, text: str) -> None:
    """`/help` and every command that nobody knows list the commands."""
    answer = await ask(telegram, text)
    listed = [line.split()[0] for line in answer.splitlines()[1:]]
    assert listed == [f"/{command.command}" for command in COMMANDS]


async def test_the_command_list_is_set(running: Service, sim: Service) -> None:
    """Telegram's menu shows the same commands as /help."""
    async with aiohttp.ClientSession() as session:
        reply = await (await session.get(f"{url_of(sim)}/bot{TOKEN}/getMyCommands")).json()
    assert [shown["command"] for shown in reply["result"]] == [it.command for it in COMMANDS]


@pytest.mark.parametrize(
    "text",
    ["/command", "/command " + "я" * 4087, "/command  two   spaces\nand a line", "/command שלום"],
    ids=["bare", "4096 characters", "white space", "right to left"],
)
async def test_any_text_is_published_as_it_was_written(
    running: Service, telegram: SimClient, redis_server: RedisServer, text: str
) -> None:
    """The text is intact in the stream, and the arguments are its words."""
    assert await ask(telegram, text, user=20) == "Command published!"
    (event,) = events(redis_server)
    assert event["data"]["command"] == text
    assert event["data"]["args"] == text.split()[1:]


async def test_strange_updates_are_handled_and_confirmed(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """Updates without a user, a text or a message stop nothing; the next command is published."""
    chat = {"id": 5, "type": "private", "first_name": "X"}
    strange: list[dict[str, Any]] = [
        {"message": {"message_id": 1, "date": 1_790_000_000, "chat": chat}},
        {"message": {"message_id": 2, "date": 1_790_000_000, "chat": chat, "text": ""}},
        {"message": {"message_id": 3, "date": "never", "chat": "nowhere", "text": 7}},
        {"message": None},
        {"message": {}},
    ]
    for update in strange:
        await telegram.inject(update, expires_in=3600)
    assert await ask(telegram, "/command after", user=6) == "Command published!"
    assert [event["data"]["command"] for event in events(redis_server)] == ["/command after"]

    async def pending() -> int:
        return (await telegram.overview()).bot.pending

    async with asyncio.timeout(20):
        while await pending():
            await asyncio.sleep(0.1)
    assert running.exit_code is None


ODD_STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "huge name": ({"from": {"id": 7, "is_bot": False, "first_name": "A" * 300}}, "went wrong"),
    "name that is a list": ({"from": {"id": 7, "is_bot": False, "first_name": []}}, "went wrong"),
    "nobody": ({}, "I cannot register you right now."),
}


@pytest.mark.parametrize("name", ODD_STARTS)
async def test_a_start_that_cannot_be_a_user_is_answered(
    running: Service, telegram: SimClient, name: str
) -> None:
    """What the backend's model refuses is kept and told; a start by nobody registers nobody."""
    fields, expected = ODD_STARTS[name]
    written = await telegram.write("/help", user=8)
    helped = await telegram.wait_for_answer(8, after=written.message_id)
    chat = {"id": 8, "type": "private", "first_name": "X"}
    message = {"message_id": 1, "date": 1_790_000_000, "chat": chat, "text": "/start", **fields}
    await telegram.inject({"message": message}, expires_in=3600)
    assert expected in (await telegram.wait_for_answer(8, after=helped.message_id)).text


async def test_an_edited_command_is_answered_and_not_carried_out(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """An edit publishes nothing: neither a second time what was published, nor anew."""
    written = await telegram.write("/comand a", user=9)
    helped = await telegram.wait_for_answer(9, after=written.message_id)
    await telegram.edit(9, written.message_id, "/command a")
    answer = await telegram.wait_for_answer(9, after=helped.message_id)
    assert answer.text.startswith("I do not carry out what is edited.")
    assert events(redis_server) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("", "API_BASE_URL is missing: set it in .env or the environment"),
        ("backend", "API_BASE_URL is wrong: write http://host:port or https://host"),
    ],
)
def test_the_backend_has_to_be_named(value: str, line: str) -> None:
    """One line, and exit code 78."""
    starting = bot("redis://127.0.0.1:1", "http://127.0.0.1:1", value)
    with starting as service:
        assert service.wait() == 78
        assert service.log == f"tg_bot: {line}\n"


async def test_a_command_that_can_never_be_an_event_is_refused(
    running: Service, telegram: SimClient, redis_server: RedisServer
) -> None:
    """A command without a sender stands in the dead letters with its reason, and is answered."""
    evening = await telegram.write("good evening", user=5)
    before = await telegram.wait_for_answer(5, after=evening.message_id)
    chat = {"id": 5, "type": "private", "first_name": "X"}
    entity = {"type": "bot_command", "offset": 0, "length": 8}
    message = {"message_id": 1, "date": 1_790_000_000, "chat": chat, "text": "/command anonymous"}
    update_id = await telegram.inject(
        {"message": {**message, "entities": [entity]}}, expires_in=3600
    )
    answer = await telegram.wait_for_answer(5, after=before.message_id)
    assert answer.text == "Failed to send command."
    ((_, letter),) = redis_server.client().xrange(command_received.dead_letters)
    assert letter[b"event_id"].decode() == f"42:{update_id}"
    assert b"user_id" in letter[b"reason"]
    assert events(redis_server) == []
