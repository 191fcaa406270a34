"""The whole stack in containers, as it is rendered: from a person's message to PostgreSQL."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.e2e.stack import ComposeStack
from tests.processes import get_status

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stack() -> Iterator[ComposeStack]:
    """One running stack for the module."""
    with ComposeStack() as stack:
        yield stack


def test_every_container_is_healthy(stack: ComposeStack) -> None:
    """`up --wait` returned, and each container says itself that it is healthy."""
    names = ("alertmanager", "backend", "postgres", "prometheus", "redis", "telegram_sim", "tg_bot")
    assert stack.states() == dict.fromkeys(names, "healthy")


async def test_prometheus_is_told_by_every_service_and_tells_alertmanager(
    stack: ComposeStack,
) -> None:
    """Over networks of their own, by name; with the rules of services.yml."""

    def asked(path: str) -> dict[str, Any]:
        address = f"{stack.url('prometheus')}/api/v1/{path}"
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 — of this stack
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def up() -> set[str]:
        result = asked("query?query=up%20%3D%3D%201")["result"]
        return {series["metric"]["job"] for series in result}

    await eventually(lambda: up() == {"backend", "tg_bot"}, seconds=120)
    await eventually(lambda: asked("alertmanagers")["activeAlertmanagers"], seconds=120)
    (rules,) = asked("rules")["groups"]
    assert {rule["health"] for rule in rules["rules"]} <= {"ok", "unknown"}
    assert len(rules["rules"]) > 5


async def test_a_command_becomes_a_row(stack: ComposeStack) -> None:
    """A command sent in Telegram is answered, stands in the stream and is stored, once each."""
    async with SimClient(stack.url("telegram_sim")) as telegram:
        written = await telegram.write("/command привет 🚀 <&\"'>", user=11)
        answer = await telegram.wait_for_answer(11, after=written.message_id)
    assert answer.text == "Command published!"
    printed = stack.redis("XREAD", "STREAMS", "command_received", "0")
    events = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    (event,) = (event for event in events if event["data"]["user_id"] == 11)
    assert event["data"]["command"] == "/command привет 🚀 <&\"'>"
    query = "SELECT event_id, command FROM commands WHERE user_id = 11"
    rows = await eventually(lambda: stack.sql(query))
    assert rows == [[event["id"], "/command привет 🚀 <&\"'>"]]


async def test_start_registers_the_user(stack: ComposeStack) -> None:
    """`/start` makes a row in `users`; a second `/start` greets a known user and makes none."""
    async with SimClient(stack.url("telegram_sim")) as telegram:
        user = {"id": 12, "first_name": "Zoë"}
        first = await telegram.write("/start", user=user)
        new = await telegram.wait_for_answer(12, after=first.message_id)
        again = await telegram.write("/start", user=user)
        known = await telegram.wait_for_answer(12, after=again.message_id)
    assert new.text.startswith("Hello, Zoë! You are registered.")
    assert known.text.startswith("Welcome back, Zoë!")
    assert stack.sql("SELECT first_name FROM users WHERE id = 12") == [["Zoë"]]
    assert get_status(f"{stack.url('backend')}/users/12") == 200


async def test_a_killed_bot_is_back_and_lost_nothing(stack: ComposeStack) -> None:
    """Commands sent while the bot is dead are published when Compose has restarted it."""
    stack.compose("kill", "--signal", "SIGKILL", "tg_bot")
    async with SimClient(stack.url("telegram_sim")) as telegram:
        sent = await telegram.write_many("/command dead {n}", count=20, first_user=13)
        stack.compose("up", "--detach", "--wait", "--no-build", "tg_bot")
        assert sent.updates == 20
    query = "SELECT count(*), count(DISTINCT event_id) FROM commands WHERE user_id = 13"
    rows = await eventually(lambda: [row for row in stack.sql(query) if row[0] == "20"])
    assert rows == [["20", "20"]]


async def test_the_operator_drops_a_dead_letter_and_a_service_may_not(stack: ComposeStack) -> None:
    """`make dead-letters` acts as Redis' operator; the backend's own user reads at most."""
    stack.redis("XADD", "command_received", "*", "__data__", "no event")
    listed = await eventually(
        lambda: [line for line in stack.dead_letters("list").splitlines() if "malformed" in line]
    )
    (letter,) = (line.split()[0] for line in listed)
    with pytest.raises(AssertionError, match="permissions"):
        stack.dead_letters("drop", letter, operator=False)
    assert stack.dead_letters("drop", letter) == f"{letter}  dropped\n"


async def test_the_streams_are_followed_and_nothing_stays(stack: ComposeStack) -> None:
    """What `make events` runs in a container shows entries, and ends when its input does."""
    stack.redis("XADD", "command_received", "*", "__data__", '{"id":"e","data":{"user_id":14}}')
    with stack.following("--user", "14", "--since", "1h") as following:
        assert following.stdout
        entries = (json.loads(line).get("entry") for line in following.stdout)
        assert next(filter(None, entries))["event_id"] == "e"
        assert await eventually(lambda: "shared.tail" in stack.compose("top", "backend"))
        following.communicate("")
    assert await eventually(lambda: "shared.tail" not in stack.compose("top", "backend"))


def test_the_console_may_do_here_what_it_shows(stack: ComposeStack) -> None:
    """Its page is in the image, and its service has the rights of `console:` at Redis."""
    console = f"{stack.url('backend')}/console"
    for path in ("/", "/journey.js", "/api/standing", "/api/letters"):
        assert get_status(f"{console}{path}") == 200


async def test_the_console_knows_how_every_container_is(stack: ComposeStack) -> None:
    """It reaches the health checks of all others by their names, and Redis and PostgreSQL."""

    def states() -> dict[str, str]:
        with urlopen(f"{stack.url('backend')}/console/api/stack", timeout=30) as answer:  # noqa: S310
            return {part["name"]: part["state"] for part in json.load(answer)["parts"]}

    names = {*stack.states(), "backend", "tg_bot", "redis", "postgres"}
    good = dict.fromkeys(names, "good")
    assert await eventually(lambda: good if good.items() <= states().items() else None, 60)


def test_the_documents_are_in_the_image(stack: ComposeStack) -> None:
    """With all that their pages load."""
    documents = f"{stack.url('backend')}/docs"
    for path in ("/", "/events", "/asyncapi.json", "/asyncapi/asyncapi-viewer.js"):
        assert get_status(f"{documents}{path}") == 200


def test_health_checks_leave_nothing_in_the_log_of_postgresql(stack: ComposeStack) -> None:
    """Thirty checks, as Compose makes them: each knows a user and a database that are there."""
    check = stack.healthcheck("postgres")
    stack.compose("exec", "-T", "postgres", "sh", "-c", f"for n in $(seq 30); do {check}; done")
    log = stack.compose("logs", "--no-log-prefix", "postgres").splitlines()
    fatal = [line for line in log if "FATAL" in line]
    assert [line for line in fatal if "the database system is starting up" not in line] == []
