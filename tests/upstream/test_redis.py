"""What Redis and Valkey do that Herald works around."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from tests.scripted import publish_script
from tests.servers import RedisServer
from tests.upstream import still

ENGINES: list[Literal["valkey", "redis"]] = ["valkey", "redis"]
STREAM = "events"


def publish(client: Any) -> None:
    """Publish two events in one call."""
    client.execute_command("EVAL", *publish_script(STREAM, {"a": "{}", "b": "{}"}))


def test_redis_doubles_a_torn_write() -> None:
    """It cuts its file inside of a block, and executes what is left at the start after the next."""
    with RedisServer(engine="redis", guarded=False) as server:
        publish(server.client())
        server.kill()
        os.truncate(server.append_only_file, server.append_only_file.stat().st_size - 5)
        server.start()
        publish(server.client())
        server.kill()
        server.start()
        entries = server.client().xlen(STREAM)
    still(entries > 2, "Redis doubles a torn write", "infra/images/start-redis")


def test_scripted_writes_are_lost_without_the_default_users_rights(
    tmp_path: Path,
) -> None:
    """At a start the file is read with that user's rights, and only the log tells."""
    users = tmp_path / "users"
    users.write_text("user default on nopass ~* &* +@all\n")
    with RedisServer("--aclfile", str(users), engine="redis") as server:
        publish(server.client())
        server.kill()
        users.write_text(
            "user default on nopass resetkeys -@all +ping\nuser operator on nopass ~* &* +@all\n"
        )
        server.start()
        with closing(redis.Redis(port=server.port, username="operator", password="any")) as client:
            lost = client.xlen(STREAM) == 0
    still(lost, "Redis reads its file with the default user's rights", "NOBODY in acl.py")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_that_only_frees_is_refused_when_memory_is_full(
    engine: Literal["valkey", "redis"],
) -> None:
    """A plain command that frees is taken, the same in a script is not."""
    with RedisServer(engine=engine) as server:
        client = server.client()
        publish(client)
        client.config_set("maxmemory", 1)
        refused = False
        try:
            client.eval("#!lua\nreturn redis.call('XTRIM', KEYS[1], 'MAXLEN', '1')", 1, STREAM)
        except OutOfMemoryError:
            refused = True
        assert client.xtrim(STREAM, maxlen=1, approximate=False) == (1 if refused else 0)
    still(refused, f"{engine} refuses a script that frees", "flags=allow-oom in the Lua scripts")


@pytest.mark.parametrize("engine", ENGINES)
def test_wait_counts_only_what_its_own_connection_wrote(
    engine: Literal["valkey", "redis"],
) -> None:
    """Somebody else's write is on no replica, and WAIT says that it is on one."""
    primary = RedisServer("--repl-diskless-sync-delay", "0", engine=engine)
    replica = RedisServer("--replicaof", f"127.0.0.1 {primary.port}", engine=engine)
    with primary, replica:
        writer, other = primary.client(), primary.client()
        writer.set("a", "1")
        while writer.wait(1, 200) < 1:
            pass
        replica.freeze()
        writer.set("a", "2")
        seen_by_writer, seen_by_other = writer.wait(1, 100), other.wait(1, 100)
    assert seen_by_writer == 0
    still(seen_by_other == 1, f"{engine}'s WAIT is blind to others", "One primary, no failover,")
