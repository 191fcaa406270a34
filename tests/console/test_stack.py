"""The stack as the console is told of it: copies, roles, and what nobody can ask."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import make_url

from shared.console.stack import Stack
from shared.inbox import Database, new_metadata
from shared.tail.entries import Content
from tests.conditions import eventually
from tests.postgres import MISSING, PostgresServer, find_binaries
from tests.servers import RedisServer


async def test_each_copy_of_redis_is_named_with_its_role(redis_server: RedisServer) -> None:
    """The primary first, each with its address."""
    with RedisServer() as copy:
        copy.client().replicaof("127.0.0.1", redis_server.port)
        assert await eventually(
            lambda: redis_server.client().info().get("slave0", {}).get("state") == "online"
        )
        part = part_of(await Stack(redis_server.url, "", None).look(), "redis")
        assert part["state"] == "good"
        assert [it["role"] for it in part["instances"]] == ["primary", "replica"]
        assert part["instances"][0]["address"] == f"127.0.0.1:{redis_server.port}"
        assert part["instances"][1]["address"] == f"127.0.0.1:{copy.port}"


@pytest.mark.skipif(find_binaries() is None, reason=MISSING)
async def test_the_leader_of_a_database_is_named_and_followed(
    redis_server: RedisServer,
) -> None:
    """A primary with its copy; once that leads in its place, it is the one that is named."""
    with PostgresServer() as leader, PostgresServer(leader) as copy:
        url = make_url(leader.create_database())
        hosts = tuple(f"127.0.0.1:{server.port}" for server in (leader, copy))
        several = url.set(host=None, port=None).update_query_dict(
            {"host": hosts, "target_session_attrs": "read-write"}
        )
        database = Database("ledger", new_metadata(), "ledger:migrations")
        database.connect(several.render_as_string(hide_password=False))
        stack = Stack(redis_server.url, "", database.server)
        both = [("primary", hosts[0]), ("replica", "127.0.0.1")]
        await shown(stack, lambda seen: roles(seen) == both)
        leader.kill()
        await shown(stack, lambda seen: seen["state"] == "bad")
        copy.promote()
        await shown(stack, lambda seen: roles(seen) == [("", hosts[1])])
        await database.close()


async def test_a_redis_that_is_away_is_said_to_be(redis_server: RedisServer) -> None:
    """And so is a database that nobody told of."""
    redis_server.kill()
    seen = await Stack(redis_server.url, "", None).look()
    assert part_of(seen, "redis")["state"] == "bad"
    assert part_of(seen, "postgres")["state"] == "unknown"


async def test_what_answers_otherwise_than_200_is_not_good(redis_server: RedisServer) -> None:
    """A port that is closed, and one at which something else listens."""
    closed = "tg_bot=http://127.0.0.1:1/health"
    other = f"backend=http://127.0.0.1:{redis_server.port}/health"
    seen = await Stack(redis_server.url, f"{closed} {other}", None).look()
    assert part_of(seen, "backend")["state"] == "bad"
    assert part_of(seen, "tg_bot")["instances"][0]["note"] == "has not answered yet"


async def shown(stack: Stack, holds: Callable[[Content], bool]) -> None:
    """Return once what is shown of the database is so."""
    async with asyncio.timeout(60):
        while not holds(part_of(await stack.look(), "postgres")):
            await asyncio.sleep(0.1)


def roles(part: Content) -> list[tuple[str, str]]:
    """Return role and address of each copy that is shown."""
    return [(it["role"], it["address"]) for it in part["instances"]]


def part_of(seen: Content, name: str) -> Content:
    """Return a part of what was seen."""
    (part,) = (part for part in seen["parts"] if part["name"] == name)
    return dict(part)
