"""A right that is taken away in flight stops a script before its first write, never between two."""

import pytest
from redis.exceptions import NoPermissionError

from shared.keys import buried_of, dead_letters_of, marker, replayed_of
from shared.streams.server.scripts import load_script
from tests.scripted import publish_script
from tests.servers import RedisServer

USER = ("~*", "&*", "+@all")
MARKER, LETTERS = marker("said", "1"), dead_letters_of("said")
BURY = ["said", LETTERS, MARKER, replayed_of("said"), buried_of("said")]


@pytest.mark.parametrize(
    ("name", "right", "arguments"),
    [
        ("publish", "set", publish_script("said", {"1": "{}"})[1:]),
        ("refuse", "set", ["2", LETTERS, MARKER, "1000", "9" * 15, "why", "/tests", "reason", "x"]),
        ("dead_letter", "xadd", ["5", *BURY, "g", "1-0", "/tests", "reason", "x"]),
        ("dead_letter", "zadd", ["5", *BURY, "g", "1-0", "/tests", "reason", "x"]),
    ],
)
def test_nothing_is_half_done(
    name: str, right: str, arguments: list[str], redis_server: RedisServer
) -> None:
    """What was there is there: no entry without its mark, and none that is finished and nowhere."""
    admin = redis_server.client()
    admin.xadd("said", {"__data__": "{}"}, id="1-0")
    admin.xgroup_create("said", "g", id="0")
    admin.xreadgroup("g", "m", {"said": ">"})
    admin.execute_command("ACL", "SETUSER", "bot", "on", ">secret", *USER, f"-{right}")
    client = redis_server.client()
    client.execute_command("AUTH", "bot", "secret")
    with pytest.raises(NoPermissionError):
        client.execute_command("EVAL", load_script(name), *arguments)
    assert sorted(admin.keys()) == [b"said"]
    assert admin.xlen("said") == 1
    assert admin.xpending("said", "g")["pending"] == 1
