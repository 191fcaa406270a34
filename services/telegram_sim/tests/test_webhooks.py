"""Webhooks get their updates by the rules of the Bot API server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from telegram_sim.client import SimClient

Call = Callable[..., Awaitable[dict[str, Any]]]
HOUR = 3600
SECRET_CHARACTERS = "secret token contains unallowed characters"
BAD_CERTIFICATE = "bad webhook: can't use the certificate"


@dataclass
class Receiver:
    """A webhook that notes what comes, and answers as it is told."""

    url: str = ""
    received: list[tuple[web.Request, dict[str, Any]]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    held: asyncio.Event | None = None
    in_flight: int = 0
    most_in_flight: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Take one update."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.received.append((request, await request.json()))
        if self.held is not None:
            await self.held.wait()
        self.in_flight -= 1
        return self.answers.pop(0) if self.answers else web.Response()

    def texts(self) -> list[str]:
        """Return the texts that came, in order."""
        return [update["message"]["text"] for _, update in self.received]

    async def count(self, count: int) -> None:
        """Return when so many updates have come."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                await asyncio.sleep(0.01)

    def refuse(self, count: int, status: int = 500, **headers: str) -> None:
        """Answer the next requests with a refusal."""
        self.answers += [web.Response(status=status, headers=headers) for _ in range(count)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A webhook on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def settled(sim: SimClient) -> None:
    """Return when nothing pends any more."""
    async with asyncio.timeout(30):
        while (await sim.bot()).pending:
            await asyncio.sleep(0.01)


async def test_updates_go_to_the_webhook_with_its_secret(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """What pends and what comes later is posted as JSON, with the secret in its header."""
    await sim.write("/before")
    answer = await api("setWebhook", url=receiver.url, secret_token="s3cret_-")
    assert (answer["result"], answer["description"]) == (True, "Webhook was set")
    await receiver.count(1)
    await sim.write("/after")
    await receiver.count(2)
    assert receiver.texts() == ["/before", "/after"]
    request, _ = receiver.received[0]
    assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret_-"
    assert request.content_type == "application/json"
    await settled(sim)


async def test_one_chat_has_one_update_in_flight_in_order(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """A chat's updates come one after the other; other chats' come beside them."""
    receiver.held = asyncio.Event()
    await api("setWebhook", url=receiver.url)
    await sim.write_many("/n {n}", count=30, users=3)
    await receiver.count(3)
    await asyncio.sleep(0.1)
    assert receiver.most_in_flight == 3
    receiver.held.set()
    await receiver.count(30)
    assert receiver.most_in_flight == 3
    for user in range(3):
        numbers = [int(text.split()[1]) for text in receiver.texts()]
        assert [n for n in numbers if n % 3 == user] == list(range(user, 30, 3))


async def test_max_connections_bounds_what_is_in_flight(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """Never more requests at once than the webhook allows."""
    receiver.held = asyncio.Event()
    await api("setWebhook", url=receiver.url, max_connections=2)
    await sim.write_many("/n {n}", count=20, users=10)
    await receiver.count(2)
    await asyncio.sleep(0.1)
    receiver.held.set()
    await receiver.count(20)
    assert receiver.most_in_flight == 2


@pytest.mark.usefixtures("restored")
async def test_a_refused_update_comes_again_at_once_then_after_2_4_8_seconds(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """The pauses double; the order in the chat is kept meanwhile."""
    receiver.refuse(6)
    await api("setWebhook", url=receiver.url)
    await sim.write("/one")
    await sim.write("/two")
    await receiver.count(2)
    for tries, pause in ((3, 2), (4, 4), (5, 8), (6, 16), (7, 32)):
        await asyncio.sleep(0.2)
        assert len(receiver.received) == tries - 1
        await sim.advance(pause)
        await receiver.count(tries)
    await receiver.count(8)
    assert receiver.texts() == [*["/one"] * 7, "/two"]


@pytest.mark.usefixtures("restored")
async def test_retry_after_is_obeyed_up_to_an_hour(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """Retry-After decides the pause, but never longer than 3600 seconds."""
    receiver.answers.append(web.Response(status=503, headers={"Retry-After": "100"}))
    receiver.answers.append(web.Response(status=503, headers={"Retry-After": "999999"}))
    await api("setWebhook", url=receiver.url)
    await sim.write("/one")
    await receiver.count(1)
    await asyncio.sleep(0.2)
    await sim.advance(90)
    await asyncio.sleep(0.2)
    assert len(receiver.received) == 1
    await sim.advance(10)
    await receiver.count(2)
    await asyncio.sleep(0.2)
    await sim.advance(HOUR)
    await receiver.count(3)


async def test_a_failing_webhook_is_reported(sim: SimClient, api: Call, receiver: Receiver) -> None:
    """GetWebhookInfo tells where updates go, how many wait and what went wrong last."""
    receiver.answers.append(web.Response(status=503, headers={"Retry-After": "600"}))
    await api("setWebhook", url=receiver.url, max_connections=7, allowed_updates=["message"])
    await sim.write("/one")
    await receiver.count(1)
    await asyncio.sleep(0.2)
    info = (await api("getWebhookInfo"))["result"]
    assert info.pop("last_error_date") > 0
    assert info == {
        "url": receiver.url,
        "has_custom_certificate": False,
        "pending_update_count": 1,
        "last_error_message": "Wrong response from the webhook: 503 Service Unavailable",
        "max_connections": 7,
        "ip_address": "127.0.0.1",
        "allowed_updates": ["message"],
    }


@pytest.mark.usefixtures("restored")
async def test_410_for_23_hours_removes_the_webhook(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """A webhook that is gone for good is given up; what pends waits for getUpdates."""
    receiver.refuse(100, status=410)
    await api("setWebhook", url=receiver.url)
    await sim.write("/one")
    await receiver.count(2)
    await asyncio.sleep(0.2)
    await sim.advance(22 * HOUR)
    await receiver.count(3)
    assert (await api("getWebhookInfo"))["result"]["url"] == receiver.url
    await asyncio.sleep(0.2)
    await sim.advance(HOUR + 60)
    await receiver.count(4)
    await asyncio.sleep(0.2)
    assert (await api("getWebhookInfo"))["result"]["url"] == ""
    (update,) = (await api("getUpdates"))["result"]
    assert update["message"]["text"] == "/one"


@pytest.mark.usefixtures("restored")
async def test_an_update_that_fails_for_a_day_is_dropped(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """No longer than its 24 hours."""
    receiver.refuse(2)
    await api("setWebhook", url=receiver.url)
    await sim.write("/one")
    await receiver.count(2)
    await asyncio.sleep(0.2)
    receiver.refuse(100)
    await sim.advance(24 * HOUR)
    await receiver.count(3)
    await settled(sim)
    await sim.advance(HOUR)
    await asyncio.sleep(0.2)
    assert len(receiver.received) == 3


async def test_an_answer_may_ask_for_a_method(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """A webhook answers a message by its own answer's body."""
    body = {"method": "sendMessage", "chat_id": 1001, "text": "by reply"}
    receiver.answers.append(web.json_response(body))
    receiver.answers.append(web.json_response({"method": "deleteWebhook"}))
    await api("setWebhook", url=receiver.url)
    written = await sim.write("/one")
    answer = await sim.wait_for_answer(1001, after=written.message_id)
    assert answer.text == "by reply"
    await sim.write("/two")
    await receiver.count(2)
    await settled(sim)
    assert (await api("getWebhookInfo"))["result"]["url"] == receiver.url


async def test_setting_the_same_webhook_again_changes_nothing(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """The description says which it was."""
    await api("setWebhook", url=receiver.url)
    again = await api("setWebhook", url=receiver.url)
    assert again["description"] == "Webhook is already set"
    await sim.write("/one")
    await receiver.count(1)
    deleted = await api("deleteWebhook")
    assert deleted["description"] == "Webhook was deleted"
    deleted = await api("deleteWebhook")
    assert deleted["description"] == "Webhook is already deleted"
    assert (await api("setWebhook", url=""))["result"] is True


async def test_pending_updates_can_be_dropped(sim: SimClient, api: Call) -> None:
    """drop_pending_updates forgets what nobody has confirmed."""
    await sim.write_many("/n {n}", count=5)
    await api("deleteWebhook", drop_pending_updates=True)
    assert (await sim.bot()).pending == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"url": "ftp://127.0.0.1/"}, "invalid webhook URL specified"),
        ({"url": "http://:80/"}, "invalid webhook URL specified"),
        ({"url": "http://127.0.0.1:99999/"}, "invalid webhook URL specified"),
        ({"url": "http://127.0.0.1/", "secret_token": "x" * 257}, "secret token is too long"),
        ({"url": "http://127.0.0.1/", "secret_token": "a b"}, SECRET_CHARACTERS),
        ({"url": "http://127.0.0.1/", "ip_address": "localhost"},
         "bad webhook: Invalid IP address specified"),
        ({"url": "http://127.0.0.1/", "certificate": "no PEM"}, BAD_CERTIFICATE),
    ],
)  # fmt: skip
async def test_a_wrong_webhook_is_refused(
    api: Call, parameters: dict[str, str], reason: str
) -> None:
    """Every mistake gets a 400 in Telegram's words, and no webhook is set."""
    answer = await api("setWebhook", **parameters)
    assert answer["error_code"] == 400
    assert answer["description"].startswith(f"Bad Request: {reason}")
    assert (await api("getWebhookInfo"))["result"]["url"] == ""


@pytest.mark.usefixtures("restored")
async def test_a_webhook_that_is_away_gets_its_updates_later(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """Nobody listens at first: the update waits, and the reason is told."""
    port = receiver.url.split(":")[2].split("/")[0]
    nobody = receiver.url.replace(port, "1")
    await api("setWebhook", url=nobody)
    await sim.write("/one")
    async with asyncio.timeout(20):
        while True:
            info = (await api("getWebhookInfo"))["result"]
            if "last_error_message" in info:
                break
    assert info["last_error_message"] == "Connection refused"
    assert info["pending_update_count"] == 1
    await api("setWebhook", url=receiver.url)
    await receiver.count(1)


async def test_ip_address_decides_where_a_host_is(
    sim: SimClient, api: Call, receiver: Receiver
) -> None:
    """With ip_address the name in the URL is not looked up."""
    url = receiver.url.replace("127.0.0.1", "bot.invalid")
    refused = await api("setWebhook", url=url)
    assert refused["description"].startswith("Bad Request: bad webhook: Failed to resolve host")
    assert (await api("setWebhook", url=url, ip_address="127.0.0.1"))["ok"]
    await sim.write("/one")
    await receiver.count(1)
    assert receiver.received[0][0].host.startswith("bot.invalid")
    assert (await api("getWebhookInfo"))["result"]["ip_address"] == "127.0.0.1"


async def test_the_address_of_a_host_is_told(api: Call, receiver: Receiver) -> None:
    """GetWebhookInfo says where the updates go; the same webhook without it is the same one."""
    url = receiver.url.replace("127.0.0.1", "localhost")
    await api("setWebhook", url=url)
    assert (await api("getWebhookInfo"))["result"]["ip_address"] in {"127.0.0.1", "::1"}
    assert (await api("setWebhook", url=url))["description"] == "Webhook is already set"
    moved = await api("setWebhook", url=url, ip_address="127.0.0.1")
    assert moved["description"] == "Webhook was set"


async def test_a_certificate_is_uploaded(url: str, token: str, http: aiohttp.ClientSession) -> None:
    """The certificate may be a file of the body, under its own name or another."""
    for name, given in (("certificate", {}), ("pem", {"certificate": "attach://pem"})):
        body = aiohttp.FormData({"url": "https://127.0.0.1/", **given})
        body.add_field(name, b"no PEM", filename="c.pem")
        async with http.post(f"{url}/bot{token}/setWebhook", data=body) as response:
            assert BAD_CERTIFICATE in (await response.json())["description"]
