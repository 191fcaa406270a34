"""The control API is strict, and tells what it did not like."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import NoAnswerError, SimAwayError, SimClient, SimProcess, SimRefusedError

Post = Callable[[str, Any], Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
def post(url: str, token: str, http: aiohttp.ClientSession) -> Post:
    """Posts a control request about the test's own bot; returns the status and the answer."""

    async def send(path: str, body: Any) -> tuple[int, dict[str, Any]]:
        if isinstance(body, dict) and path != "/sim/clock":
            body = {"token": token, **body}
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        async with http.post(f"{url}{path}", data=data, headers=headers) as response:
            return response.status, await response.json()

    return send


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/sim/write", "{", "the body is no JSON"),
        ("/sim/write", "[]", "the body must be a JSON object"),
        ("/sim/write", {}, "text is missing"),
        ("/sim/write", {"text": 5}, "text must be a text"),
        ("/sim/write", {"text": "  "}, "text is empty"),
        ("/sim/write", {"text": "🚀" * 2049}, "text has 4098 UTF-16 code units"),
        ("/sim/write", {"text": "x", "usr": 7}, "unknown field usr; there are: "),
        ("/sim/write", {"text": "x", "user": "Ada"}, "user must be a number or an object"),
        ("/sim/write", {"text": "x", "user": {"name": 1}}, "user has unknown name"),
        ("/sim/write", {"text": "x", "user": -7}, "user must have a positive id"),
        ("/sim/write", {"text": "x", "user": {"first_name": "A"}}, "user must have an id"),
        ("/sim/write", {"text": "x", "chat": {"id": -1, "type": "x"}}, "chat.type must be"),
        ("/sim/write", {"text": "x", "date": "soon"}, "date must be a whole number"),
        ("/sim/write", {"text": "x", "entities": {}}, "entities must be an array"),
        ("/sim/write", {"text": "x", "reply_to": 99}, "chat 1001 has no message 99"),
        ("/sim/write", {"text": "x", "token": "1:x"}, "token is none that this simulator accepts"),
        ("/sim/write", {"text": "x", "bot": 5}, "there is no bot 5"),
        ("/sim/write_many", {"text": "x"}, "count is missing"),
        ("/sim/write_many", {"text": "x", "count": 0}, "there must be 1 to 100000 writings"),
        ("/sim/write_many", {"text": "x", "count": 1, "users": 0}, "users must be at least 1"),
        ("/sim/write_many", {"writings": 5}, "writings must be an array"),
        ("/sim/write_many", {"writings": [{"text": "x"}, {"txt": 1}]}, "writings[1]: text is"),
        ("/sim/edit", {"chat": 12345, "message_id": 1, "text": "x"}, "has no chat 12345"),
        ("/sim/press", {"chat": 7, "message_id": 1, "button": "Yes"}, "has no button 'Yes'"),
        ("/sim/inject", {"update": {"update_id": 1}}, "update must have exactly one field"),
        ("/sim/inject", {"update": {"a": 1, "b": 2}}, "update must have exactly one field"),
        ("/sim/inject", {"update": []}, "update must be an object"),
        ("/sim/block", {"chat": -5}, "chat -5 is no private chat"),
        ("/sim/block", {"chat": 7, "blocked": 1}, "blocked must be true or false"),
        ("/sim/chats", {"kind": "club", "name": "x"}, "kind must be private or group"),
        ("/sim/clock", {"advance": -1}, "advance must not be negative"),
        ("/sim/clock", {"advance": "far"}, "advance must be a number"),
        ("/sim/clock", {"advance": "nan"}, "advance must be a number"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(
    sim: SimClient, post: Post, path: str, body: Any, error: str
) -> None:
    """400 or 404, one sentence, and nothing has happened."""
    await sim.write("/start", user=7)
    await sim.write("/start", user=7, chat=-5)
    before = (await sim.bot()).pending
    status, answer = await post(path, body)
    assert status in {400, 404}
    assert answer["ok"] is False
    assert error in answer["error"]
    assert (await sim.bot()).pending == before


async def test_without_a_token_there_must_be_one_bot(token: str) -> None:
    """Which bot is meant is never guessed."""
    async with SimProcess() as process, process.client() as sim:
        with pytest.raises(SimRefusedError, match="no bot has called yet: name one with token"):
            await sim.write("/start")
        async with process.client(token) as named:
            await named.write("/start")
        await sim.write("/start")
        assert (await sim.bot()).pending == 2
        async with process.client("9" + token) as other:
            await other.write("/start")
        with pytest.raises(SimRefusedError, match="there are several bots"):
            await sim.write("/start")


async def test_waiting_for_an_answer_that_does_not_come_is_an_error(sim: SimClient) -> None:
    """The error says where nothing came, and is a TimeoutError too."""
    written = await sim.write("/start", user=7)
    with pytest.raises(NoAnswerError, match=r"wrote nothing into chat 7 after message 1 in 0\.1 s"):
        await sim.wait_for_answer(7, after=written.message_id, timeout=0.1)
    with pytest.raises(TimeoutError):
        await sim.wait_for_answer(4242, timeout=0.1)


async def test_an_answer_in_a_chat_that_is_new_is_waited_for(sim: SimClient, api: Any) -> None:
    """The waiting may begin before anybody has written there."""
    waiting = asyncio.create_task(sim.wait_for_answer(7, timeout=20))
    await asyncio.sleep(0.1)
    await sim.write("/start", user=7)
    await api("sendMessage", chat_id=7, text="hello")
    assert (await waiting).text == "hello"


async def test_nobody_there_is_told_at_once(token: str) -> None:
    """A client of a simulator that has ended says so."""
    async with SimProcess() as process:
        client = process.client(token)
        await process.stop()
        with pytest.raises(SimAwayError, match=f"no answer from the simulator at {process.url}"):
            await client.write("/start")
        await client.close()


async def test_many_messages_are_counted_up_and_spread(sim: SimClient) -> None:
    """{n} is the number of the message, and the users write in turn."""
    many = await sim.write_many("/n {n}", count=5, users=2, first_user=50, start=10)
    assert (many.written, many.updates) == (5, 5)
    texts = [[message.text for message in await sim.messages(user)] for user in (50, 51)]
    assert texts == [["/n 10", "/n 12", "/n 14"], ["/n 11", "/n 13"]]
    exact = await sim.write_many(
        writings=[{"text": "a", "user": 60}, {"text": "/b", "user": {"id": 61}, "chat": -9}]
    )
    assert exact.updates == 2
    assert [message.text for message in await sim.messages(-9)] == ["/b"]


async def test_messages_can_be_read_in_part(sim: SimClient, http: aiohttp.ClientSession) -> None:
    """After a number, and the newest so many."""
    await sim.write_many("/n {n}", count=9, first_user=7)
    all_of_them = await sim.messages(7)
    after = await sim.messages(7, after=all_of_them[6].message_id)
    assert [message.text for message in after] == ["/n 7", "/n 8"]
    number = (await sim.bot()).id
    query = {"chat": "7", "limit": "1", "bot": str(number)}
    async with http.get(f"{sim.base_url}/sim/messages", params=query) as response:
        (newest,) = (await response.json())["result"]
    assert newest["message"]["text"] == "/n 8"
    assert await sim.messages(987) == []


async def test_an_update_without_user_or_message_can_be_injected(sim: SimClient, api: Any) -> None:
    """Whatever is injected reaches the bot as it is, update_id aside."""
    update_id = await sim.inject({"update_id": 5, "poll_answer": None})
    assert (await api("getUpdates"))["result"] == [{"update_id": update_id, "poll_answer": None}]
    with_time = await sim.inject({"message": {"date": 1}})
    assert with_time is None
    assert await sim.inject({"message": {"date": 1}}, expires_in=60) is not None


async def test_the_oldest_messages_go_when_a_chat_is_full(token: str) -> None:
    """SIM_HISTORY bounds what is kept, and so the memory."""
    async with SimProcess(history=5, tokens=(token,)) as process, process.client() as sim:
        await sim.write_many("/n {n}", count=9, first_user=7)
        assert [message.text for message in await sim.messages(7)] == [
            f"/n {n}" for n in range(4, 9)
        ]
