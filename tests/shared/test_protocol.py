"""Commands are written as redis-py writes them, and read back to tell what was denied."""

import pytest
from redis.asyncio import Connection

from shared.streams.server.denial import command_of
from shared.streams.server.line import Argument, packed

COMMANDS: list[tuple[Argument, ...]] = [
    ("PING",),
    ("EVALSHA", "5f1e", 2, "stream", "{stream}:id:ü", 259_200_000, b"\r\n$3\x00\xff", ""),
    ("XREADGROUP", "GROUP", "g", "m", "STREAMS", "stream", ">", b"x" * 7000),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_a_command_is_written_as_redis_py_writes_it(command: tuple[Argument, ...]) -> None:
    """Byte for byte, so that a server cannot tell which of them wrote it."""
    assert packed(*command) == b"".join(Connection().pack_command(*command))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_a_written_command_is_read_back(command: tuple[Argument, ...]) -> None:
    """Of several in one piece the first; bytes that are no text are shown as such."""
    parts = [p.decode(errors="replace") if isinstance(p, bytes) else str(p) for p in command]
    assert command_of(packed(*command) + packed("PING")) == parts
    assert command_of(b"") == []
