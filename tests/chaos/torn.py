"""What a kill in the middle of a write leaves of it: a part of a block in the append-only file.

The kernel ends a write at a page's bound when its process is killed, and a power cut anywhere. A
batch is torn here at any byte, as the file of a Redis that was killed is cut.
"""

import os
import random
from pathlib import Path

from tests.chaos.points import PUBLISHES

MULTI, EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"


def tear(file: Path, written: int, chance: random.Random) -> int:
    """Cut a file inside of the first batch that was published after its first `written` bytes.

    Returns:
        How many bytes are whole.
    """
    data = file.read_bytes()
    start = _published(data, written)
    end = data.index(EXEC, start) + len(EXEC)
    os.truncate(file, chance.randrange(start + len(MULTI), end))
    return start


def is_written(file: Path, whole: int, events: int = 1) -> bool:
    """Whether a batch of so many events was published after `whole` bytes, completely."""
    data = file.read_bytes()
    start = _published(data, whole)
    end = data.find(EXEC, start) if start >= 0 else -1
    return end >= 0 and data.count(PUBLISHES, start, end) >= events


def _published(data: bytes, position: int) -> int:
    """Return where the first block from there on begins that publishes; -1 where none does."""
    marker = data.find(PUBLISHES, position)
    return data.rfind(MULTI, position, marker) if marker >= 0 else -1
