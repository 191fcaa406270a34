"""What a kill has left of Redis' last write is cut off before each start, and nothing else is."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import publish_script
from tests.servers import GUARD, RedisServer, redis_program

FILE = "appendonlydir/appendonly.aof.1.incr.aof"
MANIFEST = (
    "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
)
STREAM = "events"
WHOLE = ("a", "b", "c")
TORN = ("d", "e")


def command(*words: str) -> bytes:
    """Return a command as Redis writes it."""
    return b"".join(
        [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)]
    )


def block(*ids: str) -> bytes:
    """Return what the publish script writes of some events."""
    effects = b"".join(
        command("XADD", STREAM, f"1-{ord(i)}", "__data__", f'{{"id": "{i}"}}')
        + command("SET", f"{{{STREAM}}}:id:{i}", f"1-{ord(i)}", "PXAT", "4102444800000")
        for i in ids
    )
    return command("MULTI") + effects + command("EXEC")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a manifest, and the programs of Redis beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/redis-check-aof").symlink_to(redis_program())
    data = tmp_path / "data"
    (data / "appendonlydir").mkdir(parents=True)
    (data / "appendonlydir/appendonly.aof.manifest").write_text(MANIFEST)
    return data


def guard(folder: Path, content: bytes, file: str = FILE) -> subprocess.CompletedProcess[str]:
    """Put a file in place and have the guard start something that says so."""
    (folder / file).write_bytes(content)
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        (str(GUARD), "echo", "started"),
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("before", "torn"),
    [
        (block(*WHOLE), block("d")),
        (b"", block("d")[:40]),
        (block(*WHOLE), command("SET", "lease", "holder", "PX", "15000")),
        (command("SET", "lease", "holder"), command("XADD", STREAM, "1-1", "a", "line\nline")),
    ],
    ids=["block", "first block", "single command", "single after single"],
)
def test_a_write_is_cut_off_wherever_it_was_torn(folder: Path, before: bytes, torn: bytes) -> None:
    """At each of its bytes; what is before it stays, byte for byte."""
    for length in range(1, len(torn)):
        result = guard(folder, before + torn[:length])
        assert (result.returncode, result.stdout) == (0, "started\n"), (length, result.stderr)
        assert (folder / FILE).read_bytes() == before, length
        assert f"cut off the last {length} bytes" in result.stderr


@pytest.mark.parametrize("content", [b"", block(*WHOLE), block(*WHOLE) + command("PING")])
def test_a_whole_file_is_left_alone(folder: Path, content: bytes) -> None:
    """Nothing is written and nothing is said."""
    result = guard(folder, content)
    assert (result.returncode, result.stdout, result.stderr) == (0, "started\n", "")
    assert (folder / FILE).read_bytes() == content


def test_no_file_is_no_obstacle(tmp_path: Path) -> None:
    """A first start, or one without an append-only file, is left to Redis."""
    result = subprocess.run((str(GUARD), "echo", "started"), cwd=tmp_path, check=False)
    assert result.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: good[:40] + b"\0" + good[41:],
        lambda good: good.replace(b"$5\r\nMULTI", b"$9\r\nMULTI", 1),
        lambda good: good.replace(b"$11\r\n", b"$99999\r\n", 1),
        lambda good: good.replace(b"EXEC", b"EXXX", 1),
        lambda good: b"\0" * 20 + good,
        lambda good: good + b"\0" * 20,
        lambda good: good[: len(block(*WHOLE)) + 80] + good,
        lambda good: command("SET", "a", "b").replace(b"$3", b"$7", 1) + good[15:],
    ],
    ids=[
        *("bad byte", "bad length", "length beyond the end", "no EXEC", "zeros before"),
        *("zeros behind", "torn and written on", "bad single command"),
    ],
)
def test_damage_before_whole_writes_is_never_cut_off(folder: Path, damage: Any) -> None:
    """Redis is not started, the file stays as it is, and one line says what to do."""
    content = damage(block(*WHOLE) + block(*TORN) + block("f"))
    result = guard(folder, content)
    assert (result.returncode, result.stdout) == (os.EX_DATAERR, "")
    assert (folder / FILE).read_bytes() == content
    advice = result.stderr.splitlines()[-1]
    assert f"{folder / FILE} is damaged after" in advice
    assert "Restore a backup" in advice
    assert f"redis-check-aof --fix {FILE}" in advice


def test_only_the_last_file_of_several_is_cut(folder: Path) -> None:
    """Redis appends to no other: a rewrite that was killed leaves two, and Redis reads both."""
    last = "appendonlydir/appendonly.aof.2.incr.aof"
    manifest = folder / "appendonlydir/appendonly.aof.manifest"
    manifest.write_text(f"{MANIFEST}file appendonly.aof.2.incr.aof seq 2 type i startoffset 7\n")
    (folder / FILE).write_bytes(block(*WHOLE)[:-3])
    result = guard(folder, block(*WHOLE) + block(*TORN)[:-3], last)
    assert result.returncode == 0
    assert (folder / last).read_bytes() == block(*WHOLE)
    assert (folder / FILE).read_bytes() == block(*WHOLE)[:-3]


# With the server itself


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis that holds three events, as it was left by a SIGKILL."""
    with RedisServer(engine="redis") as server:
        publish(server, WHOLE)
        server.kill()
        yield server


def publish(server: RedisServer, ids: tuple[str, ...]) -> None:
    """Publish events in one call, as `shared.streams` does."""
    call = publish_script(STREAM, {i: f'{{"id": "{i}"}}' for i in ids})
    server.client().execute_command("EVAL", *call)


def ids_of(server: RedisServer) -> list[str]:
    """Return the ids of the events in the stream."""
    entries = server.client().xrange(STREAM)
    return [fields[b"__data__"].decode().split('"')[3] for _, fields in entries]


def places(written: bytes) -> dict[str, int]:
    """Return one place of each kind within a block."""
    return {
        "in MULTI": written.index(b"MULTI") + 2,
        "after MULTI": written.index(b"MULTI") + 7,
        "in the head of XADD": written.index(b"XADD") - 6,
        "in XADD": written.index(b"XADD") + 2,
        "in the entry's id": written.index(b"__data__") - 8,
        "in the payload": written.index(b'{"id"') + 4,
        "after XADD": written.index(b"SET") - 8,
        "in SET": written.index(b"SET") + 1,
        "in the marker": written.index(b":id:d") + 3,
        "after the first event": written.index(b"XADD", written.index(b"SET")) - 8,
        "in the second payload": written.rindex(b'{"id"') + 4,
        "before EXEC": written.rindex(b"EXEC") - 8,
        "in EXEC": written.rindex(b"EXEC") + 2,
        "in the last byte": len(written) - 1,
    }


@pytest.mark.parametrize("place", places(block(*TORN)))
def test_nothing_is_lost_or_doubled_by_a_torn_write(redis: RedisServer, place: str) -> None:
    """Torn, started, published again by who got no answer, killed and started once more."""
    file = redis.append_only_file
    before = file.stat().st_size
    redis.start()
    publish(redis, TORN)
    redis.kill()
    written = file.read_bytes()
    os.truncate(file, before + places(written[before:])[place])

    redis.start()
    assert ids_of(redis) == [*WHOLE]
    publish(redis, TORN)
    redis.kill()
    redis.start()
    assert ids_of(redis) == [*WHOLE, *TORN]


def test_a_torn_write_is_cut_off_behind_a_rewrite(redis: RedisServer) -> None:
    """With a base and a younger file; the base is never touched."""
    redis.start()
    client = redis.client()
    client.bgrewriteaof()
    while client.info("persistence")["aof_rewrite_in_progress"]:
        pass
    publish(redis, TORN)
    redis.kill()
    file = redis.append_only_file
    assert ".2.incr" in file.name
    os.truncate(file, file.stat().st_size - 5)

    redis.start()
    publish(redis, TORN)
    redis.kill()
    redis.start()
    assert ids_of(redis) == [*WHOLE, *TORN]


def test_redis_itself_refuses_where_another_file_is_short(redis: RedisServer) -> None:
    """That is why the guard looks at the last file alone."""
    file = redis.append_only_file
    os.truncate(file, file.stat().st_size - 5)
    (file.parent / "appendonly.aof.2.incr.aof").touch()
    with (file.parent / "appendonly.aof.manifest").open("a") as manifest:
        manifest.write("file appendonly.aof.2.incr.aof seq 2 type i\n")
    with pytest.raises(RuntimeError, match="truncated"):
        redis.start()


def test_a_damaged_file_does_not_start(redis: RedisServer) -> None:
    """The server ends with the guard's advice, and so does a container, again and again."""
    file = redis.append_only_file
    content = file.read_bytes()
    file.write_bytes(content.replace(b"$4\r\nXADD", b"$4\r\nX\rDD", 1).replace(b"$4", b"$\0", 1))
    with pytest.raises(RuntimeError, match="Restore a backup"):
        redis.start()


@pytest.mark.parametrize("place", ["in MULTI", "in SET", "in the second payload", "in EXEC"])
def test_valkey_cuts_a_torn_write_rightly_by_itself(place: str) -> None:
    """The demo's server needs no guard (github.com/valkey-io/valkey/pull/4342)."""
    with RedisServer(engine="valkey") as valkey:
        publish(valkey, WHOLE)
        valkey.kill()
        file = valkey.append_only_file
        before = file.stat().st_size
        valkey.start()
        publish(valkey, TORN)
        valkey.kill()
        os.truncate(file, before + places(file.read_bytes()[before:])[place])
        for _ in range(2):
            valkey.start()
            publish(valkey, TORN)
            valkey.kill()
        valkey.start()
        assert ids_of(valkey) == [*WHOLE, *TORN]
