"""What a release that is undone has buried goes back to its consumers: nothing more, and once.

The agent's own script against a real server; only `docker exec` is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.agent.cutover import buried
from deploy.agent.cutover.buried import letters_of, order, youngest
from deploy.agent.cutover.journal import Journal
from deploy.agent.host.redis_cli import Redis
from deploy.agent.host.release import Release
from shared.keys import dead_letters_of
from tests.deploy.stores import STREAM
from tests.servers import RedisServer

RELEASE = Release(Path("r"), {"streams": {STREAM: ["backend", "audit"]}, "smoke": None})


@dataclass(frozen=True)
class Direct(Redis):
    """Asks a server of this machine, not one in a container."""

    client: Any = None

    def ask(self, *words: str) -> object:
        """Send one command; return its answer."""
        return self.client.execute_command(*words)


def direct(client: Any) -> Redis:
    """Return what the agent asks."""
    return Direct("", "", "", "", "", client=client)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    """A client of a real server with a stream that two groups have read and finished with."""
    with redis.Redis(port=redis_server.port, decode_responses=True) as made:
        for group in ("backend", "audit"):
            made.xgroup_create(STREAM, group, "0", mkstream=True)
        for number in range(6):
            made.xadd(STREAM, {"event": f"text {number}"})
        for group in ("backend", "audit"):
            ((_, entries),) = made.xreadgroup(group, "member", {STREAM: ">"})
            made.xack(STREAM, group, *(entry for entry, _ in entries))
        yield made


def entries(client: Any) -> list[str]:
    """Return the ids of all entries."""
    return [entry for entry, _ in client.xrange(STREAM)]


def bury(client: Any, entry: str, group: str = "backend", event: str = "x", key: str = "") -> str:
    """Put a dead letter of an entry where the runtime puts it."""
    letter = {"event_id": event, "reason": "on purpose", "group": group, "entry_id": entry}
    return str(client.xadd(key or dead_letters_of(STREAM), letter))


def pending(client: Any, group: str) -> list[str]:
    """Return what a group has to handle again, once nobody has had it for 15 seconds."""
    answer = client.xautoclaim(STREAM, group, "old", 15_000, justid=True)
    return [str(entry) for entry in answer]


def give_back(client: Any, since: dict[str, str], smoke: str = "") -> tuple[int, int]:
    """Give back what was buried since."""
    journal = Journal("herald", "new", "old", "ada", smoke=smoke, letters=since)
    return buried.take_back(direct(client), buried.streams(RELEASE), journal)


@pytest.mark.parametrize("key", letters_of(STREAM))
def test_what_was_buried_since_is_pending_again_and_the_rest_stays(client: Any, key: str) -> None:
    """Each in its own group, under its own entry; done again, nothing happens any more."""
    first, second, third, *_ = entries(client)
    old = bury(client, first, key=key)
    since = youngest(direct(client), RELEASE)
    assert since == {STREAM: old}
    bury(client, second, key=key)
    bury(client, third, group="audit", key=key)
    bury(client, second, group="audit", key=key)
    refused = bury(client, "", group="", key=key)
    foreign = bury(client, second, group="of somebody else", key=key)
    assert give_back(client, since) == (3, 0)
    assert pending(client, "backend") == [second]
    assert pending(client, "audit") == [second, third]
    assert [letter for letter, _ in client.xrange(key)] == [old, refused, foreign]
    client.xack(STREAM, "backend", second)
    assert give_back(client, since) == (0, 0)
    assert pending(client, "backend") == []
    assert len(entries(client)) == 6


def test_a_letter_that_was_there_and_is_gone_moves_no_bound(client: Any) -> None:
    """The window begins behind every id that there ever was, whatever a clock says."""
    _, second, *_ = entries(client)
    ahead = client.xadd(dead_letters_of(STREAM), {"group": "backend"}, id="9999999999999-5")
    client.xdel(dead_letters_of(STREAM), ahead)
    since = youngest(direct(client), RELEASE)
    assert since == {STREAM: "9999999999999-5"}
    assert order(bury(client, second)) > order(since[STREAM])
    assert give_back(client, since) == (1, 0)
    assert pending(client, "backend") == [second]


def test_a_smoke_tests_event_is_given_to_nobody(client: Any) -> None:
    """Its entry is gone already; its letter goes too."""
    since = youngest(direct(client), RELEASE)
    assert since == {STREAM: "0-0"}
    bury(client, "5-5", event="smoke-1")
    assert give_back(client, since, smoke="smoke-1") == (0, 0)
    assert client.xlen(dead_letters_of(STREAM)) == 0


def test_a_letter_whose_entry_was_trimmed_stays_and_is_counted(client: Any) -> None:
    """It is the only copy: who replays it puts its event back into the stream."""
    since = youngest(direct(client), RELEASE)
    first, second, *_ = entries(client)
    stays = bury(client, first)
    bury(client, second)
    client.xdel(STREAM, first)
    assert give_back(client, since) == (1, 1)
    assert [letter for letter, _ in client.xrange(dead_letters_of(STREAM))] == [stays]


def test_more_than_a_page_is_given_back(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands may be buried in the time that a release takes to be undone."""
    monkeypatch.setattr(buried, "PAGE", 4)
    since = youngest(direct(client), RELEASE)
    for entry in entries(client):
        for group in ("backend", "audit", "of somebody else"):
            bury(client, entry, group=group)
    assert give_back(client, since) == (12, 0)
    assert pending(client, "audit") == entries(client)
