"""Whatever is sent to the simulator, it answers as its APIs do, and never with an error of its own.

Odd values in fields that exist, whole bodies that are odd, and bodies of odd kinds.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from telegram_sim.client import SimProcess
from telegram_sim.methods import METHODS
from telegram_sim.server.application import application
from telegram_sim.settings import Settings
from telegram_sim.state import State
from telegram_sim.world.simulator import Simulator

TOKEN = "777:" + "x" * 35
USER = 7
CONTROL = sorted(
    (route.method, route.resource.canonical.replace("{id}", "1"))
    for route in application(Simulator(Settings(), State())).router.routes()
    if route.resource is not None
    and route.resource.canonical.startswith("/sim/")
    and route.method != "HEAD"
    and route.resource.canonical != "/sim/events"  # it has no end
)
NAMES = st.sampled_from(
    [
        *("chat_id", "text", "message_id", "reply_markup", "entities", "parse_mode", "offset"),
        *("limit", "allowed_updates", "commands", "scope", "url", "action", "reply_parameters"),
        *("callback_query_id", "bot", "user", "chat", "date", "reply_to", "writings", "count"),
        *("users", "first_user", "update", "expires_in", "kind", "method", "seconds", "advance"),
        *("probability", "blocked", "button", "after", "enabled", "chat_per_second", "seed"),
        *("delay", "retry_after", "code", "name", "start", "id", "all_per_second", "drop"),
    ]
)
DEEP = "[" * 20_000
"""Deeper than a parser goes."""
ODD = st.sampled_from(
    [
        *(None, True, -1, 0, USER, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.0, 1e308),
        *("", "7", "\ud800", "\0", "x" * 5000, "1" * 5000, "[[[", "{}", "[]", "null", "@x"),
        *("/start", DEEP, "http://x", "https://127.0.0.1:99999/"),
        *([], {}, [[]], [{}], {"id": 7}, {"id": "7"}, {"id": 2**70}, {"chat": {"id": {}}}),
        *({"inline_keyboard": [[{"text": "\ud800"}]]}, {"inline_keyboard": [[{}]]}),
        *("private", "group", "slow", "flood", "*", "HTML", "Markdown", "MarkdownV2", "<b>x"),
        *([{"type": "bold", "offset": -1, "length": 2**40}], [{"type": 5}], {"message": 5}),
        *([{"command": "a", "description": 5}], {"type": "chat", "chat_id": "x"}, "Infinity"),
    ]
)
VALUES = st.recursive(
    ODD | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=6)
BODIES = st.sampled_from(
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"\0", DEEP.encode(), b'{"a":' * 4_000),
        *(b"a=%ff&=&&==", b"--x\r\n\r\n", b"1" * 5000, b'{"text": "\\ud800"}', b'{"chat_id": NaN}'),
    ]
) | st.binary(max_size=60)
KINDS = st.sampled_from(
    [
        *("application/json", "application/x-www-form-urlencoded", "text/plain", "x", ""),
        *("multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=x"),
    ]
)
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


class Target:
    """One connection to a simulator, for one request after the other."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def send(self, method: str, path: str, body: object, kind: str = "application/json") -> Any:
        """Send one request; return the answer, which is JSON and no error of the simulator's."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, {"Content-Type": kind} if kind else {})
        response = self.connection.getresponse()
        text = response.read()
        assert response.status < 500, text
        answer = json.loads(text)
        assert answer["ok"] is (response.status == 200)
        if path.startswith("/bot") and not answer["ok"]:
            assert answer["error_code"] == response.status
            assert answer["description"]
        return answer


@pytest.fixture
def target(process: SimProcess) -> Iterator[Target]:
    """A simulator of the test's own, in which a user has written to a bot."""
    target = Target(process.port)
    for text in ("/start", "more"):
        target.send("POST", "/sim/write", {"token": TOKEN, "text": text, "user": USER})
    yield target
    target.connection.close()
    assert "Traceback" not in "".join(process.log)


@fuzz
@example(method="sendmessage", fields={"reply_markup": DEEP}, to_user=True)
@example(method="getupdates", fields={"allowed_updates": DEEP}, to_user=False)
@given(method=st.sampled_from(sorted(METHODS)), fields=FIELDS, to_user=st.booleans())
def test_odd_values_to_the_bot_api(
    target: Target, method: str, fields: dict[str, Any], *, to_user: bool
) -> None:
    """An answer in Telegram's shape, whatever stands in a method's parameters."""
    known = {"chat_id": USER, "text": "x", **fields} if to_user else fields
    target.send("POST", f"/bot{TOKEN}/{method}", {**known, "timeout": 0})


@fuzz
@given(route=st.sampled_from(CONTROL), fields=FIELDS, to_user=st.booleans())
def test_odd_values_to_the_control_api(
    target: Target, route: tuple[str, str], fields: dict[str, Any], *, to_user: bool
) -> None:
    """A sentence about what is wrong, or what was asked for."""
    method, path = route
    known = {"chat": USER, "text": "x", "token": TOKEN, **fields} if to_user else fields
    waits = method == "GET" and path in {"/sim/wait", "/sim/press"}
    target.send(method, path, {**known, "timeout": 0} if waits else known)


@fuzz
@example(f"/bot{TOKEN}/sendMessage", "POST", DEEP.encode(), "application/json")
@example("/sim/write", "POST", DEEP.encode(), "application/json")
@given(
    st.sampled_from([f"/bot{TOKEN}/sendMessage", f"/bot{TOKEN}/", "/botx/y", "/sim/write", "/x"]),
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    BODIES,
    KINDS,
)
def test_odd_bodies(target: Target, path: str, method: str, body: bytes, kind: str) -> None:
    """The same for bodies that are none of the kind that they call themselves."""
    target.send(method, path, body, kind)
