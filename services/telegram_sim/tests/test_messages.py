"""What a bot does in chats, and what it gets when it does it wrongly."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient, SimProcess

Call = Callable[..., Awaitable[dict[str, Any]]]
ADA = {"id": 7, "first_name": "Ada", "last_name": "Lovelace", "username": "ada"}
BUTTON = "can't parse inline keyboard button: "
MARKUP = "reply keyboard markup"
GROUP = {"id": -4001, "title": "Engine room"}


def refused(answer: dict[str, Any], code: int, description: str) -> bool:
    """Return whether an answer is this refusal."""
    return answer == {"ok": False, "error_code": code, "description": description}


async def test_get_me_describes_the_bot(api: Call, token: str) -> None:
    """GetMe returns a User object with the number that the token begins with."""
    me = (await api("getMe"))["result"]
    assert me["id"] == int(token.partition(":")[0])
    assert me["is_bot"] is True
    assert me["username"].endswith("bot")


async def test_a_message_is_an_update_with_user_chat_and_entities(
    sim: SimClient, api: Call
) -> None:
    """What a user writes reaches the bot as Telegram would tell it."""
    written = await sim.write("🚀 /do@some_bot now", user=ADA)
    (update,) = (await api("getUpdates"))["result"]
    message = update["message"]
    assert message == written.raw
    assert message["from"] == {**ADA, "is_bot": False}
    assert message["chat"] == {**ADA, "type": "private"}
    assert message["entities"] == [{"type": "bot_command", "offset": 3, "length": 12}]


async def test_an_answer_reaches_the_chat(sim: SimClient, api: Call) -> None:
    """SendMessage returns the message, and the chat then has it, non-ASCII text intact."""
    written = await sim.write("/start", user=ADA)
    sent = (await api("sendMessage", chat_id=7, text="привет 🚀"))["result"]
    assert sent["message_id"] == written.message_id + 1
    assert (sent["text"], sent["chat"]["id"], sent["from"]["is_bot"]) == ("привет 🚀", 7, True)
    answer = await sim.wait_for_answer(7, after=written.message_id)
    assert answer.raw == sent
    assert [message.from_bot for message in await sim.messages(7)] == [False, True]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"text": "x"}, "chat_id is empty"),
        ({"text": "x", "chat_id": 999}, "chat not found"),
        ({"text": "x", "chat_id": "@nobody_here"}, "chat not found"),
        ({"chat_id": 7}, "message text is empty"),
        ({"chat_id": 7, "text": ""}, "message text is empty"),
        ({"chat_id": 7, "text": " \n "}, "text must be non-empty"),
        ({"chat_id": 7, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": 7, "text": "🚀" * 2049}, "message is too long"),
        ({"chat_id": 7, "text": "x" * 40_000}, "text is too long"),
        ({"chat_id": 7, "text": "x", "parse_mode": "RTF"}, "unsupported parse_mode"),
        ({"chat_id": 7, "text": "x", "reply_markup": "{"}, f"can't parse {MARKUP} JSON object"),
        ({"chat_id": 7, "text": "x", "reply_markup": [1]}, "object expected as reply markup"),
        ({"chat_id": 7, "text": "x", "reply_to_message_id": 99}, "message to be replied not found"),
        ({"chat_id": 7, "text": "x", "entities": [{"type": "bold", "offset": 0, "length": 9}]},
         "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 9"),
    ],
)  # fmt: skip
async def test_a_wrong_message_is_refused_in_telegrams_words(
    sim: SimClient, api: Call, parameters: dict[str, Any], reason: str
) -> None:
    """Every mistake gets a 400 with the description that Telegram gives."""
    await sim.write("/start", user=ADA)
    answer = await api("sendMessage", **parameters)
    assert refused(answer, 400, f"Bad Request: {reason}")
    assert len(await sim.messages(7)) == 1


async def test_4096_utf_16_units_are_one_message(sim: SimClient, api: Call) -> None:
    """The longest message has 4096 UTF-16 code units: 2048 rockets."""
    await sim.write("/start", user=ADA)
    assert (await api("sendMessage", chat_id=7, text="🚀" * 2048))["ok"]


async def test_a_user_who_blocked_the_bot_is_not_reached(sim: SimClient, api: Call) -> None:
    """A blocked bot gets a 403 and an update about it, and may write again after the unblocking."""
    await sim.write("/start", user=ADA)
    await sim.block(7)
    answer = await api("sendMessage", chat_id=7, text="hello?")
    assert refused(answer, 403, "Forbidden: bot was blocked by the user")
    change = (await api("getUpdates"))["result"][-1]["my_chat_member"]
    assert change["new_chat_member"]["status"] == "kicked"
    await sim.block(7, blocked=False)
    assert (await api("sendMessage", chat_id=7, text="hello!"))["ok"]


@pytest.mark.parametrize(
    "bad", ["1:short", "nonsense", "0123:" + "a" * 35, "9" * 60 + ":" + "a" * 40]
)
async def test_a_bad_token_is_unauthorized(url: str, http: aiohttp.ClientSession, bad: str) -> None:
    """No bot has such a token: 401 in the Bot API's shape."""
    async with http.get(f"{url}/bot{bad}/getMe") as response:
        answer = await response.json()
    assert (response.status, answer["error_code"]) == (401, 401)
    assert answer["description"].startswith("Unauthorized")


async def test_another_secret_of_a_known_bot_is_unauthorized(
    url: str, api: Call, http: aiohttp.ClientSession, token: str
) -> None:
    """One bot has one token."""
    await api("getMe")
    async with http.get(f"{url}/bot{token[:-1]}X/getMe") as response:
        assert refused(await response.json(), 401, "Unauthorized")


async def test_only_the_accepted_tokens_are_authorized(
    http: aiohttp.ClientSession, token: str
) -> None:
    """With SIM_TOKENS every other token is refused."""
    async with SimProcess(tokens=(token,)) as process:
        async with http.get(f"{process.url}/bot{token}/getMe") as response:
            assert response.status == 200
        async with http.get(f"{process.url}/bot1{token}/getMe") as response:
            assert refused(await response.json(), 401, "Unauthorized")


async def test_an_unknown_method_is_not_found(api: Call) -> None:
    """404 in the Bot API's own shape."""
    answer = await api("makeCoffee")
    assert refused(answer, 404, "Not Found: method not found")


@pytest.mark.parametrize("path", ["/", "/bot", "/bot1:2", "/nothing/here"])
async def test_another_path_is_not_found(url: str, http: aiohttp.ClientSession, path: str) -> None:
    """What is no Bot API path gets a 404 in the Bot API's shape, the chat page aside."""
    async with http.post(f"{url}{path}") as response:
        assert response.status == 404
        assert (await response.json())["description"] == "Not Found"


async def test_a_known_method_that_is_not_simulated_says_so(
    process: SimProcess, sim: SimClient, api: Call
) -> None:
    """Telegram has it and the simulator does not: 501, one line in the log, a count."""
    for _ in range(2):
        answer = await api("sendDice", chat_id=7)
        text = "Not Implemented: telegram_sim does not simulate senddice"
        assert refused(answer, 501, text)
    assert (await sim.bot()).raw["not_simulated"] == {"senddice": 2}
    lines = [line for line in process.log if "a method is not simulated" in line]
    assert len(lines) == 1
    assert '"method": "senddice"' in lines[0]
    assert await process.stop() == 0


async def test_method_names_ignore_case(api: Call) -> None:
    """GETME is getMe."""
    assert (await api("GETME"))["ok"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "Bad Request: can't parse the body as JSON"),
        ("[1]", "Bad Request: JSON object expected"),
        ('{"chat_id": 7, "text": }', "Bad Request: can't parse the body as JSON"),
    ],
)
async def test_malformed_json_is_refused_with_the_reason(
    url: str, http: aiohttp.ClientSession, token: str, body: str, reason: str
) -> None:
    """A body that is no JSON object gets a 400 that says why."""
    headers = {"Content-Type": "application/json"}
    path = f"{url}/bot{token}/sendMessage"
    async with http.post(path, data=body, headers=headers) as response:
        answer = await response.json()
    assert (response.status, answer["ok"]) == (400, False)
    assert answer["description"].startswith(reason)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("form", ["query", "urlencoded", "json", "multipart"])
async def test_parameters_come_in_every_form(
    sim: SimClient, http: aiohttp.ClientSession, token: str, form: str, method: str
) -> None:
    """A call means the same in the query, as a form, as JSON and as multipart, by any method."""
    await sim.write("/start", user=ADA)
    fields = {"chat_id": "7", "text": "a&b=c привет 🚀"}
    body = aiohttp.FormData(fields, default_to_multipart=form == "multipart")
    options: dict[str, dict[str, Any]] = {
        "query": {"params": fields},
        "urlencoded": {"data": body},
        "json": {"json": {**fields, "chat_id": 7}},
        "multipart": {"data": body},
    }
    path = f"{sim.base_url}/bot{token}/sendMessage"
    async with http.request(method, path, **options[form]) as response:
        assert (await response.json())["result"]["text"] == fields["text"]


async def test_the_longest_message_fits_into_a_query(
    url: str, sim: SimClient, http: aiohttp.ClientSession, token: str
) -> None:
    """GET is good for everything that POST is good for."""
    await sim.write("/start", user=ADA)
    query = {"chat_id": "7", "text": "🚀" * 2048}
    async with http.get(f"{url}/bot{token}/sendMessage", params=query) as response:
        assert (await response.json())["result"]["text"] == query["text"]


async def test_broken_multipart_is_refused(
    url: str, http: aiohttp.ClientSession, token: str
) -> None:
    """A multipart body without its boundary gets a 400."""
    headers = {"Content-Type": "multipart/form-data"}
    path = f"{url}/bot{token}/sendMessage"
    async with http.post(path, data=b"--x\r\n", headers=headers) as response:
        assert (response.status, (await response.json())["error_code"]) == (400, 400)


async def test_text_that_is_no_utf_8_is_refused(
    url: str, http: aiohttp.ClientSession, token: str
) -> None:
    """Bytes that are no text get a 400."""
    path = f"{url}/bot{token}/sendMessage"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with http.post(path, data=b"chat_id=7&text=%ff%fe", headers=headers) as response:
        answer = await response.json()
    assert refused(answer, 400, "Bad Request: strings must be encoded in UTF-8")


async def test_an_edit_changes_the_message(sim: SimClient, api: Call) -> None:
    """EditMessageText replaces text and keyboard, and tells when."""
    await sim.write("/start", user=ADA)
    sent = (await api("sendMessage", chat_id=7, text="one"))["result"]
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    edited = (await api("editMessageText", **place, text="/two"))["result"]
    assert edited["text"] == "/two"
    assert edited["date"] == sent["date"]
    assert edited["edit_date"] >= sent["date"]
    assert (await sim.messages(7))[-1].raw == edited


async def test_a_wrong_edit_is_refused(sim: SimClient, api: Call) -> None:
    """A message that is not there, not the bot's, or not changed by it cannot be edited."""
    written = await sim.write("/start", user=ADA)
    sent = (await api("sendMessage", chat_id=7, text="one"))["result"]["message_id"]

    async def edit(message_id: int, text: str) -> str:
        answer = await api("editMessageText", chat_id=7, message_id=message_id, text=text)
        return str(answer["description"])

    assert await edit(99, "x") == "Bad Request: message to edit not found"
    assert await edit(written.message_id, "x") == "Bad Request: message can't be edited"
    assert (await edit(sent, "one")).startswith("Bad Request: message is not modified: specified")


async def test_a_keyboard_changes_alone(sim: SimClient, api: Call) -> None:
    """EditMessageReplyMarkup puts another keyboard under a message, and takes it away."""
    await sim.write("/start", user=ADA)
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    sent = (await api("sendMessage", chat_id=7, text="Sure?", reply_markup=keyboard))["result"]
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    other = {"inline_keyboard": [[{"text": "No", "callback_data": "n"}]]}
    edited = (await api("editMessageReplyMarkup", **place, reply_markup=other))["result"]
    assert (edited["text"], edited["reply_markup"]) == ("Sure?", other)
    again = await api("editMessageReplyMarkup", **place, reply_markup=other)
    assert again["description"].startswith("Bad Request: message is not modified: specified")
    bare = (await api("editMessageReplyMarkup", **place))["result"]
    assert "reply_markup" not in bare
    assert bare["edit_date"] >= sent["date"]


@pytest.mark.parametrize(
    ("method", "parameters", "reason"),
    [
        ("editMessageText", {"text": "x"}, "message identifier is not specified"),
        ("editMessageReplyMarkup", {"inline_message_id": "x"}, "MESSAGE_ID_INVALID"),
        ("editMessageCaption", {"chat_id": 7, "message_id": 2, "caption": "x"},
         "there is no caption in the message to edit"),
        ("editMessageMedia", {"chat_id": 7, "message_id": 2}, "media is missing"),
        ("editMessageMedia", {"chat_id": 7, "message_id": 2, "media": [1]},
         "expected an Object as media"),
        ("editMessageMedia", {"chat_id": 7, "message_id": 2, "media": {"media": "x"}},
         "can't parse InputMedia: type must be non-empty"),
    ],
)  # fmt: skip
async def test_an_edit_without_sense_is_refused(
    sim: SimClient, api: Call, method: str, parameters: dict[str, Any], reason: str
) -> None:
    """Every mistake gets a 400 with the description that Telegram gives."""
    await sim.write("/start", user=ADA)
    await api("sendMessage", chat_id=7, text="one")
    assert refused(await api(method, **parameters), 400, f"Bad Request: {reason}")


async def test_a_message_tells_how_it_was_sent(sim: SimClient, api: Call) -> None:
    """What a call asks for beyond the text stands in the Message that it gets."""
    written = await sim.write("to be quoted 🚀 here", user=ADA)
    reply = {"message_id": written.message_id, "quote": "here"}
    sent = await api(
        "sendMessage",
        chat_id=7,
        text="x",
        protect_content=True,
        message_effect_id="5104841245755180586",
        link_preview_options={"is_disabled": True, "url": ""},
        reply_parameters=reply,
    )
    message = sent["result"]
    assert message["has_protected_content"] is True
    assert message["effect_id"] == "5104841245755180586"
    assert message["link_preview_options"] == {"is_disabled": True}
    assert message["quote"] == {"text": "here", "position": 16, "is_manual": True}
    plain = (await api("sendMessage", chat_id=7, text="x", disable_web_page_preview=True))["result"]
    assert plain["link_preview_options"] == {"is_disabled": True}
    wrong = await api("sendMessage", chat_id=7, text="x", reply_parameters={**reply, "quote": "no"})
    assert refused(wrong, 400, "Bad Request: QUOTE_TEXT_INVALID")


async def test_a_deleted_message_is_gone(sim: SimClient, api: Call) -> None:
    """DeleteMessage removes a message of the bot or, in a private chat, of the user."""
    written = await sim.write("/start", user=ADA)
    place = {"chat_id": 7, "message_id": written.message_id}
    assert (await api("deleteMessage", **place))["result"] is True
    assert await sim.messages(7) == []
    answer = await api("deleteMessage", **place)
    assert refused(answer, 400, "Bad Request: message to delete not found")


async def test_a_deletion_needs_its_identifiers(sim: SimClient, api: Call) -> None:
    """A chat and a message must be named, and in a group only the bot's own can go."""
    written = await sim.write("hello", user=ADA, chat=GROUP)
    no_chat = await api("deleteMessage", message_id=1)
    assert refused(no_chat, 400, "Bad Request: chat identifier is not specified")
    no_message = await api("deleteMessage", chat_id=GROUP["id"])
    assert refused(no_message, 400, "Bad Request: message identifier is not specified")
    foreign = await api("deleteMessage", chat_id=GROUP["id"], message_id=written.message_id)
    assert refused(foreign, 400, "Bad Request: message can't be deleted")


async def test_a_message_can_be_answered(sim: SimClient, api: Call) -> None:
    """reply_parameters and reply_to_message_id put the answered message into the answer."""
    written = await sim.write("question", user=ADA)
    sent = await api(
        "sendMessage", chat_id=7, text="x", reply_parameters={"message_id": written.message_id}
    )
    assert sent["result"]["reply_to_message"]["text"] == "question"
    lonely = await api(
        "sendMessage", chat_id=7, text="x", reply_to_message_id=99, allow_sending_without_reply=True
    )
    assert "reply_to_message" not in lonely["result"]
    back = await sim.write("thanks", user=ADA, reply_to=sent["result"]["message_id"])
    assert back.raw["reply_to_message"]["text"] == "x"


async def test_a_group_has_its_own_chat(sim: SimClient, api: Call) -> None:
    """Users write into a group, and the bot answers there, by number or by name."""
    room = {"id": -1001234567890, "title": "Engine room", "username": "engine_room"}
    written = await sim.write("/start", user=ADA, chat=room)
    assert written.raw["chat"] == {**room, "type": "supergroup"}
    assert written.message_id == 1
    sent = await api("sendMessage", chat_id="@Engine_Room", text="here")
    assert sent["result"]["chat"]["id"] == room["id"]


async def test_a_channel_post_has_no_user(sim: SimClient, api: Call) -> None:
    """What is written in a channel comes as channel_post, from the channel itself."""
    channel = {"id": -1009999999999, "type": "channel", "title": "News"}
    await sim.write("extra, extra", user=ADA, chat=channel)
    (update,) = (await api("getUpdates"))["result"]
    assert "from" not in update["channel_post"]
    assert update["channel_post"]["sender_chat"]["title"] == "News"


async def test_an_edited_message_is_an_update(sim: SimClient, api: Call) -> None:
    """A user who edits a message makes an edited_message."""
    written = await sim.write("/on", user=ADA)
    edited = await sim.edit(7, written.message_id, "/one")
    update = (await api("getUpdates"))["result"][-1]
    assert update["update_id"] == edited.update_id
    assert update["edited_message"]["text"] == "/one"
    assert update["edited_message"]["entities"][0]["length"] == 4


async def test_a_pressed_button_can_be_answered_once(sim: SimClient, api: Call) -> None:
    """A press is a callback query with the button's data; the user sees what the bot says."""
    await sim.write("/start", user=ADA)
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    sent = (await api("sendMessage", chat_id=7, text="Sure?", reply_markup=keyboard))["result"]
    assert sent["reply_markup"] == keyboard
    pressed = await sim.press(7, sent["message_id"], "Yes")
    query = (await api("getUpdates"))["result"][-1]["callback_query"]
    assert (query["data"], query["from"]["id"], query["message"]) == ("y", 7, sent)
    answer = {"callback_query_id": query["id"], "text": "Done", "show_alert": True}
    assert (await api("answerCallbackQuery", **answer))["result"] is True
    seen = await sim.wait_for_press_answer(pressed.callback_query_id)
    assert (seen.text, seen.show_alert) == ("Done", True)


@pytest.mark.usefixtures("restored")
async def test_a_press_is_answered_by_its_bot_and_in_time(
    sim: SimClient, api: Call, url: str, token: str, http: aiohttp.ClientSession
) -> None:
    """Another bot cannot answer it, and after 150 seconds nobody can."""
    await sim.write("/start", user=ADA)
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    sent = (await api("sendMessage", chat_id=7, text="Sure?", reply_markup=keyboard))["result"]
    pressed = await sim.press(7, sent["message_id"], "y")
    answer = {"callback_query_id": pressed.callback_query_id}
    async with http.post(f"{url}/bot8{token}/answerCallbackQuery", json=answer) as response:
        assert response.status == 400
    await sim.advance(151)
    assert (await api("answerCallbackQuery", **answer))["error_code"] == 400


async def test_an_answer_to_a_press_is_short(api: Call) -> None:
    """More than 200 characters are not shown."""
    answer = await api("answerCallbackQuery", callback_query_id="1", text="x" * 201)
    assert refused(answer, 400, "Bad Request: MESSAGE_TOO_LONG")


async def test_an_unknown_callback_query_cannot_be_answered(api: Call) -> None:
    """The wording is the one for a query that is too old."""
    answer = await api("answerCallbackQuery", callback_query_id="12345")
    assert refused(
        answer,
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    )


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        ({"text": "x"}, f"{BUTTON}Text buttons are unallowed in the inline keyboard"),
        ({"callback_data": "x"}, f"{BUTTON}Can't find field \"text\""),
        ({"text": "x", "callback_data": "x" * 65}, "BUTTON_DATA_INVALID"),
    ],
)  # fmt: skip
async def test_a_wrong_button_is_refused(
    sim: SimClient, api: Call, button: dict[str, str], reason: str
) -> None:
    """A button needs a text and something to do."""
    await sim.write("/start", user=ADA)
    keyboard = {"inline_keyboard": [[button]]}
    answer = await api("sendMessage", chat_id=7, text="x", reply_markup=keyboard)
    assert refused(answer, 400, f"Bad Request: {reason}")


async def test_chat_actions_are_checked(sim: SimClient, api: Call) -> None:
    """SendChatAction knows the actions and the chats."""
    await sim.write("/start", user=ADA)
    assert (await api("sendChatAction", chat_id=7, action="typing"))["result"] is True
    wrong = await api("sendChatAction", chat_id=7, action="dancing")
    assert refused(wrong, 400, "Bad Request: wrong parameter action in request")


async def test_commands_are_kept_by_scope_and_language(api: Call) -> None:
    """setMyCommands, getMyCommands and deleteMyCommands agree, each scope for itself."""
    start = [{"command": "start", "description": "Begin"}]
    scope = {"type": "chat", "chat_id": 7}
    assert (await api("setMyCommands", commands=start))["result"] is True
    await api("setMyCommands", commands=[], scope=scope, language_code="de")
    assert (await api("getMyCommands"))["result"] == start
    assert (await api("getMyCommands", scope=scope))["result"] == []
    await api("deleteMyCommands")
    assert (await api("getMyCommands"))["result"] == []


@pytest.mark.parametrize(
    ("command", "description", "reason"),
    [
        ("", "x", "command must be non-empty"),
        ("x" * 33, "x", "command length must not exceed 32"),
        ("x", "", "command description must be non-empty"),
        ("x", "x" * 257, "command description length must not exceed 256"),
        ("Start", "x", "BOT_COMMAND_INVALID"),
    ],
)
async def test_a_wrong_command_is_refused(
    api: Call, command: str, description: str, reason: str
) -> None:
    """Commands are small letters, digits and underscores, with a description."""
    commands = [{"command": command, "description": description}]
    answer = await api("setMyCommands", commands=commands)
    assert refused(answer, 400, f"Bad Request: {reason}")


async def test_get_chat_describes_the_chat(sim: SimClient, api: Call) -> None:
    """GetChat returns what is known of a user."""
    await sim.write("/start", user=ADA)
    chat = (await api("getChat", chat_id=7))["result"]
    assert (chat["first_name"], chat["type"]) == ("Ada", "private")


@pytest.mark.usefixtures("restored")
async def test_a_logged_out_bot_is_refused_for_ten_minutes(sim: SimClient, api: Call) -> None:
    """LogOut drops what pends, and the bot can come back after ten minutes."""
    await sim.write("/start")
    assert (await api("logOut"))["result"] is True
    assert refused(await api("getMe"), 400, "Logged out")
    await sim.advance(601)
    assert (await api("getUpdates"))["result"] == []
    assert (await api("close"))["result"] is True
