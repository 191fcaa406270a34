"""PostgreSQL on three servers: a commit that was answered survives the loss of any one."""

import asyncio
import json
import urllib.request
from collections.abc import Iterable
from itertools import count
from typing import Any

import asyncpg
import pytest

from tests.scale.servers import Servers, docker, until

KIND = "postgres"
pytestmark = pytest.mark.timeout(400)
NUMBERS = count(1)


@pytest.fixture(scope="module")
def group(servers: Servers) -> Servers:
    """Three servers, brought up for the first time, with a table."""
    servers.begin()
    until(lambda: is_whole(servers), "one leads, and both others have its quorum")
    table = "CREATE TABLE IF NOT EXISTS committed (number int PRIMARY KEY)"
    until(lambda: asyncio.run(execute(servers, table)) == [], "there is a table")
    return servers


@pytest.fixture
def whole(group: Servers) -> Servers:
    """The same, with every copy where it belongs, before a test."""
    until(lambda: is_whole(group), "one leads, and both others have its quorum")
    return group


def members(servers: Servers) -> dict[str, dict[str, Any]]:
    """Return what Patroni says of each server, by address, asked wherever it answers."""
    for address in servers.addresses:
        try:
            with urllib.request.urlopen(f"http://{address}:8008/cluster", timeout=3) as answer:
                said = json.load(answer)["members"]
        except OSError:
            continue
        return {member["name"]: member for member in said}
    return {}


def leader(servers: Servers) -> int:
    """Return the number of the server that leads; -1 where none does."""
    there = [name for name, facts in members(servers).items() if facts["role"] == "leader"]
    return servers.addresses.index(there[0]) if there else -1


def is_whole(servers: Servers) -> bool:
    """Say whether one leads and both others stream from it and count for its quorum."""
    said = members(servers).values()
    states = sorted((facts["role"], facts["state"]) for facts in said)
    standby = ("quorum_standby", "streaming")
    return states == [("leader", "running"), standby, standby]


def etcd_answers(servers: Servers, number: int) -> bool:
    """Say whether a server's etcd has a majority around it."""
    url = f"http://{servers.addresses[number]}:2379/health"
    with urllib.request.urlopen(url, timeout=3) as answer:
        return str(json.load(answer)["health"]) == "true"


async def execute(
    servers: Servers, statement: str, values: Iterable[int] = (), only: int | None = None
) -> list[int]:
    """Run a statement where it may be written, as a service finds it; return the first column.

    With `values` once for each, in a transaction of its own. With `only` it runs on that server,
    whatever that is.
    """
    connection = await asyncpg.connect(
        host=servers.addresses if only is None else servers.addresses[only],
        port=5432,
        user="three",
        password=servers.secret("POSTGRES_PASSWORD"),
        database="three",
        target_session_attrs="read-write" if only is None else "any",
        timeout=5,
    )
    try:
        for value in values:
            await connection.execute(statement, value)
        return [] if values else [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close(timeout=5)


def commit(servers: Servers) -> set[int]:
    """Commit some rows until each is answered; return them."""
    numbers = {next(NUMBERS) for _ in range(20)}
    statement = "INSERT INTO committed VALUES ($1) ON CONFLICT DO NOTHING"

    def answered() -> bool:
        return asyncio.run(execute(servers, statement, numbers)) == []

    until(answered, "every commit is answered")
    return numbers


def nothing_is_lost(servers: Servers, said: set[int], only: int | None = None) -> None:
    """See that every commit is there, or on one server; what is lost does not come back."""
    until(lambda: said <= committed(servers, only), "every commit is there")


def committed(servers: Servers, only: int | None) -> set[int]:
    """Return every row there is, or that one server has."""
    return set(asyncio.run(execute(servers, "SELECT number FROM committed", only=only)))


def moved(servers: Servers, number: int) -> bool:
    """Say whether another one leads and takes writes."""
    if leader(servers) in {-1, number}:
        return False
    return asyncio.run(execute(servers, "SELECT 1")) == [1]


def test_a_power_cut_of_the_leader_loses_no_commit(whole: Servers) -> None:
    """Another one leads with every commit that was answered; the lost one follows it."""
    said, number = commit(whole), leader(whole)
    whole.power_cut(number)
    until(lambda: moved(whole, number), "another one leads")
    nothing_is_lost(whole, said)
    whole.join(number)
    whole.up(number)
    until(lambda: is_whole(whole), "the lost one counts again")


def test_an_empty_disk_is_filled_by_the_others(whole: Servers) -> None:
    """A server that is lost for good, its etcd too: a new one with its address gets everything."""
    said, number = commit(whole), (leader(whole) + 1) % 3
    whole.power_cut(number, disk=False)
    whole.join(number)
    whole.up(number)
    until(lambda: etcd_answers(whole, number), "its etcd is a member again")
    assert "removed from cluster" in whole.logs(number, "postgres_etcd")
    nothing_is_lost(whole, said, only=number)
    until(lambda: is_whole(whole), "it counts again")


def test_a_leader_hands_over_before_its_server_is_touched(whole: Servers) -> None:
    """Another one leads at once with every commit, and the one before counts again."""
    said, number = commit(whole), leader(whole)
    ask = "patronictl -d etcd3://127.0.0.1:2379 switchover postgres --force"
    password = 'PATRONI_RESTAPI_PASSWORD="$(cat "$COPIES_PASSWORD_FILE")"'
    command = f"PATRONI_RESTAPI_USERNAME=operator {password} {ask}"
    docker("exec", f"{whole.server(number)}-postgres-1", "sh", "-c", command)
    until(lambda: moved(whole, number), "another one leads")
    nothing_is_lost(whole, said)
    until(lambda: is_whole(whole), "the one before counts again")


def test_who_reaches_no_majority_leads_no_longer(whole: Servers) -> None:
    """The leader is cut off and goes on running: it steps down, and takes no write of its own."""
    number = leader(whole)
    whole.cut(number)
    until(lambda: moved(whole, number), "another one leads")
    said = commit(whole)
    whole.join(number)
    until(lambda: is_whole(whole), "the old leader follows")
    nothing_is_lost(whole, said)
