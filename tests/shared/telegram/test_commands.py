"""A command is what people see at the start of a message; all that is private is answered."""

from collections.abc import Iterator
from typing import Any

import pytest

from telegram_sim.client import SimClient
from tests.processes import Service, health_of, simulator, url_of
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import bot

PUBLISHED = "Command published!"
HELP = "Here is what I understand:"
EDITED = "I do not carry out."
COMMAND = {"type": "bot_command", "offset": 0, "length": 8}
DATE = 1_790_000_000
SENDER = {"id": 5, "is_bot": False, "first_name": "Ada"}
GROUP = {"id": -5, "type": "group", "title": "Friends"}


@pytest.fixture(scope="module")
def processes() -> Iterator[tuple[RedisServer, Service, Service]]:
    """Redis, simulator and a healthy bot, for all tests of the module."""
    with RedisServer() as server, simulator(limits=False) as sim:
        sim.wait_for(f"{url_of(sim)}/health")
        service = bot(server.url, url_of(sim))
        service.variables["REPLIES_PER_SECOND"] = "0"
        with service:
            service.wait_for(health_of(service))
            yield server, sim, service


@pytest.fixture
def sim(processes: tuple[RedisServer, Service, Service]) -> Service:
    """The module's simulator."""
    return processes[1]


def over(kind: str, length: int = 8) -> dict[str, Any]:
    """Return an entity over the command."""
    return {"type": kind, "offset": 0, "length": length}


PHOTO = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
WRITTEN: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({"text": "/command a", "entities": [COMMAND]}, PUBLISHED),
    "no entity": ({"text": "/command a"}, PUBLISHED),
    "bold": ({"text": "/command a", "entities": [over("bold"), COMMAND]}, PUBLISHED),
    "quote": ({"text": "/command a", "entities": [over("blockquote", 10), COMMAND]}, PUBLISHED),
    "code": ({"text": "/command a", "entities": [over("code")]}, PUBLISHED),
    "spoiler": ({"text": "/command a", "entities": [over("spoiler")]}, PUBLISHED),
    "caption": ({"caption": "/command a", "photo": PHOTO}, PUBLISHED),
    "caption of a document": (
        {"caption": "/command a", "document": {"file_id": "f", "file_unique_id": "u"}},
        PUBLISHED,
    ),
    "capitals": ({"text": "/Command a"}, PUBLISHED),
    "addressed": ({"text": "/command@sim42_bot a"}, PUBLISHED),
    "addressed in capitals": ({"text": "/command@SIM42_BOT a"}, PUBLISHED),
    "followed by a comma": ({"text": "/command, please"}, PUBLISHED),
    "followed by a line": ({"text": "/command\na"}, PUBLISHED),
    "longer word": ({"text": "/commander a"}, HELP),
    "word of another alphabet": ({"text": "/commandя a"}, HELP),
    "path": ({"text": "/command/a"}, HELP),
    "not at the start": ({"text": "please /command a"}, HELP),
    "plain text": ({"text": "good evening"}, HELP),
    "photo without a caption": ({"photo": PHOTO}, HELP),
    "slash": ({"text": "/"}, HELP),
    "for another bot": ({"text": "/command@another_bot a"}, HELP),
}


@pytest.mark.parametrize("name", WRITTEN)
async def test_the_text_decides(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient, name: str
) -> None:
    """However it is written, and whatever carries it; any other message is answered with help."""
    fields, expected = WRITTEN[name]
    known = await telegram.write("/help", user=5)
    helped = await telegram.wait_for_answer(5, after=known.message_id)
    chat = {"id": 5, "type": "private", "first_name": "Ada"}
    message = {"message_id": 1, "date": DATE, "chat": chat, "from": SENDER, **fields}
    await telegram.inject({"message": message}, expires_in=3600)
    answer = await telegram.wait_for_answer(5, after=helped.message_id)
    assert answer.text.startswith(expected)
    if expected == PUBLISHED:
        ((_, entry),) = processes[0].client().xrevrange("command_received", count=1)
        shown = fields.get("text") or fields["caption"]
        assert f'"command":"{shown}"'.replace("\n", "\\n") in entry[b"__data__"].decode()


async def test_an_edited_command_is_answered_and_not_carried_out(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient
) -> None:
    """An edit publishes nothing: neither a second time what was published, nor anew."""
    written = await telegram.write("/comand a", user=6)
    helped = await telegram.wait_for_answer(6, after=written.message_id)
    before = processes[0].client().xlen("command_received")
    await telegram.edit(6, written.message_id, "/command a")
    answer = await telegram.wait_for_answer(6, after=helped.message_id)
    assert answer.text.startswith(EDITED)
    assert processes[0].client().xlen("command_received") == before


@pytest.mark.parametrize(
    "fields",
    [{"text": "good evening"}, {"text": "/command@another_bot"}, {"left_chat_member": SENDER}],
    ids=["talk", "another bot's", "service message"],
)
async def test_in_a_group_only_commands_of_the_bot_are_answered(
    processes: tuple[RedisServer, Service, Service], telegram: SimClient, fields: dict[str, Any]
) -> None:
    """What people say to each other, and to other bots, is none of its business."""
    known = await telegram.write("/help", user=5)
    helped = await telegram.wait_for_answer(5, after=known.message_id)
    common = {"message_id": 1, "date": DATE, "from": SENDER}
    sent = (await telegram.bot()).sent
    await telegram.inject({"message": {**common, "chat": GROUP, **fields}}, expires_in=3600)
    last = await telegram.write("/command last", user=5)
    answer = await telegram.wait_for_answer(5, after=max(last.message_id, helped.message_id))
    assert answer.text == PUBLISHED
    assert (await telegram.bot()).sent == sent + 1
    assert "reply refused" not in processes[2].log
