"""Whatever answers in Telegram's place: the bot waits, says so once, and shows nobody's text."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.generated.events import broker
from shared.logs import configure_logging
from shared.telegram import application, build_application
from shared.telegram.api.answers import LARGEST_UPDATE_ID
from shared.telegram.application import run, set_commands
from shared.telegram.replies import sending
from shared.telegram.updates import polling
from tests.odd_telegram import OddAnswer, OddTelegram, as_body
from tests.servers import RedisServer
from tests.shared.telegram.a_bot import assemble, settings_for

TEXT = "PLANTED"
ADA = {"id": 7, "is_bot": False, "first_name": TEXT}
MESSAGE = {
    "message_id": 1,
    "date": 1_790_000_000,
    "chat": {"id": 7, "type": "private", "first_name": TEXT},
    "from": ADA,
    "text": f"/command {TEXT}",
}
UPDATE = {"update_id": 3, "message": MESSAGE}

NO_ANSWERS: list[OddAnswer] = [
    b"",
    b" ",
    b"null",
    b"true",
    b"7",
    b'"PLANTED"',
    b"[]",
    b"[[[]]]",
    b"{}",
    b"<html>PLANTED</html>",
    b'{"ok":true,"result":[{"update_id":3,"message":{"text":"PLANTED',
    b"\xff\xfe\x00PLANTED",
    b"[" * 100_000,
    b'{"ok":true,"result":' + b"1" * 5000 + b"}",
    b'{"ok":true}',
    b'{"ok":"yes"}',
    b'{"ok":"yes","result":[]}',
    b'{"ok":1,"result":[]}',
    b'{"ok":false}',
    b'{"ok":false,"result":[]}',
    b'{"ok":false,"error_code":500,"description":["PLANTED"]}',
    b'{"ok":false,"parameters":7}',
    b'{"result":[]}',
    (404, b"<html>PLANTED</html>"),
    (401, b"PLANTED"),
    (400, b'{"ok":false,"parameters":["PLANTED"]}'),
    (429, b'{"ok":false,"parameters":{"retry_after":"PLANTED"}}'),
    (500, b'{"ok":false,"parameters":{"migrate_to_chat_id":"PLANTED","x":"PLANTED"}}'),
    (502, b"PLANTED"),
    (599, b""),
]
"""Answers that say nothing, to whatever was asked."""
ODD_RESULTS: list[Any] = [None, True, 0, -1, 1.5, "", TEXT, {}, {"id": TEXT}, {"update_id": 3}]
NO_LISTS = [as_body(result) for result in ODD_RESULTS]
NO_IDS = [
    as_body([{**UPDATE, "update_id": number}])
    for number in (None, True, "3", 0, -5, 3.0, LARGEST_UPDATE_ID + 1, 2**70, [3])
]
NO_UPDATES = [as_body([odd]) for odd in (None, 7, TEXT, [UPDATE], {}, {"message": MESSAGE})]
NO_BOTS = [
    *(as_body(result) for result in (*ODD_RESULTS, [], [ADA], ADA)),
    as_body({"id": 42, "is_bot": True, "first_name": TEXT}),
    as_body({"id": "42", "is_bot": True, "first_name": TEXT, "username": "odd_bot"}),
    as_body({"id": 43, "is_bot": True, "first_name": TEXT, "username": "odd_bot"}),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of seconds where the bot would wait for seconds."""
    for module in (application, polling):
        monkeypatch.setattr(module, "FIRST_BACKOFF", 0.005)
        monkeypatch.setattr(module, "LAST_BACKOFF", 0.01)
    monkeypatch.setattr(sending, "FIRST_BACKOFF", 0.005)
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def telegram() -> AsyncIterator[OddTelegram]:
    """A Bot API of this test alone."""
    async with OddTelegram() as telegram:
        yield telegram


class Running:
    """The bot in this process, until the end of a test."""

    def __init__(self, telegram: OddTelegram, server: RedisServer) -> None:
        configure_logging("a_bot", level="DEBUG", format="json")
        settings = settings_for(telegram.url, server.url, health_port=0, messages_per_minute=0)
        self._task = asyncio.create_task(run("a_bot", settings, assemble, asyncio.Event()))

    async def until(self, look: Any, seconds: float = 30) -> None:
        """Wait until something is so; the bot must not end before."""
        async with asyncio.timeout(seconds):
            while not look():
                assert not self._task.done(), self._task.exception()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop it, and leave nothing of it for the next bot of this process."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for consumer in broker.consumers:
            broker._subscribers.discard(consumer)


@pytest.fixture
async def bot(
    telegram: OddTelegram, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Any]:
    """Start the bot when it is called; it is stopped at the end."""
    started: list[Running] = []

    def start() -> Running:
        started.append(Running(telegram, redis_server))
        return started[0]

    yield start
    for running in started:
        await running.stop()


def published(server: RedisServer) -> list[str]:
    """Return the id of each command in the stream."""
    entries = server.client().xrange("command_received")
    return [json.loads(fields[b"__data__"])["id"] for _, fields in entries]


def log_of(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was logged, and hold it to showing nobody's text and no traceback."""
    log = capsys.readouterr().err
    assert TEXT not in log
    assert "Traceback" not in log
    return log


@pytest.mark.parametrize(
    "answers", [NO_ANSWERS, NO_LISTS, NO_IDS, NO_UPDATES], ids=["none", "no list", "no id", "odd"]
)
async def test_an_odd_getupdates_is_waited_out_and_confirms_nothing(
    telegram: OddTelegram,
    redis_server: RedisServer,
    bot: Any,
    capsys: pytest.CaptureFixture[str],
    answers: list[OddAnswer],
) -> None:
    """What Telegram has for the bot meanwhile is handled when the answers are good again."""
    telegram.answer("getUpdates", *answers)
    telegram.updates.append(UPDATE)
    running = bot()
    await running.until(lambda: not telegram.updates)
    polls = [int(call["offset"]) for call in telegram.called("getUpdates")]
    assert polls[: len(answers) + 1] == [0] * (len(answers) + 1)
    assert published(redis_server) == ["42:3"]
    assert log_of(capsys).count("getUpdates works again") == 1


async def test_good_updates_beside_an_odd_one_are_handled(
    telegram: OddTelegram, redis_server: RedisServer, bot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has no id is kept under one made of its content; the others are confirmed."""
    odd: list[Any] = [None, {**UPDATE, "update_id": -1}, {**UPDATE, "update_id": 2**70}]
    last = {**UPDATE, "update_id": 5}
    telegram.answer("getUpdates", as_body([odd[0], UPDATE, *odd[1:], last]))
    running = bot()
    await running.until(lambda: len(telegram.called("getUpdates")) > 1)
    assert int(telegram.called("getUpdates")[1]["offset"]) == 6
    assert published(redis_server) == ["42:3", "42:5"]
    letters = redis_server.client().xrange("{telegram_update}.dlq")
    assert [fields[b"reason"] for _, fields in letters] == [b"it has no update_id"] * 3
    log_of(capsys)


@pytest.mark.parametrize("answers", [NO_ANSWERS, NO_BOTS], ids=["none", "no bot"])
async def test_an_odd_getme_is_waited_out(
    telegram: OddTelegram,
    redis_server: RedisServer,
    bot: Any,
    capsys: pytest.CaptureFixture[str],
    answers: list[OddAnswer],
) -> None:
    """Nothing is fetched before Telegram has said who the bot is."""
    telegram.answer("getMe", *answers)
    telegram.updates.append(UPDATE)
    running = bot()
    await running.until(lambda: not telegram.updates)
    before = telegram.calls[: telegram.calls.index(("getMe", {})) + len(answers)]
    assert {method for method, _ in before} == {"getMe"}
    assert published(redis_server) == ["42:3"]
    assert 1 <= log_of(capsys).count("waiting for Telegram") < len(answers)


async def test_an_odd_setmycommands_ends_nothing(
    telegram: OddTelegram, capsys: pytest.CaptureFixture[str]
) -> None:
    """The menu is not set, and the bot goes on."""
    configure_logging("a_bot", level="DEBUG", format="json")
    answers = [*NO_ANSWERS, *NO_LISTS]
    telegram.answer("setMyCommands", *answers)
    bot = build_application("a_bot", settings_for(telegram.url, "redis://127.0.0.1:1"))
    await bot.initialize()
    for _ in answers:
        await set_commands(bot, ())
    await bot.shutdown()
    assert telegram.waiting_answers == 0
    assert log_of(capsys).count("command list not set") >= len(NO_ANSWERS)


@pytest.mark.parametrize("method", ["sendMessage", "answerCallbackQuery"])
async def test_an_odd_answer_to_a_reply_ends_no_chat(
    telegram: OddTelegram,
    redis_server: RedisServer,
    bot: Any,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    """Whatever each of many is answered with, the chat gets what is written to it later."""
    bodies = [*NO_ANSWERS, *NO_LISTS, as_body([MESSAGE]), as_body({**MESSAGE, "chat": TEXT})]
    telegram.answer(method, *bodies)
    numbers = range(3, 3 + len(bodies))
    press = {"id": "31", "from": ADA, "chat_instance": 7, "message": {"chat": {"id": 7}}}
    kind = {"message": MESSAGE} if method == "sendMessage" else {"callback_query": press}
    telegram.updates += [{"update_id": number, **kind} for number in numbers]
    running = bot()
    await running.until(lambda: not telegram.waiting_answers, 60)
    asked = len(telegram.called("sendMessage"))
    telegram.updates.append({**UPDATE, "update_id": 1000})
    await running.until(lambda: len(telegram.called("sendMessage")) > asked)
    await running.until(lambda: not telegram.updates)
    assert "42:1000" in published(redis_server)
    log_of(capsys)
