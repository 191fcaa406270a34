"""How much of its memory a server has used, and from where on that is too much.

Source: redis.io/docs/latest/commands/info/ — `maxmemory` is held against `used_memory` without
what `mem_not_counted_for_evict` counts.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

PRESSURE = 0.7
"""Share of `maxmemory` from which finished entries go early: they are history, and what is left of
prod's 256 MB takes 180,000 commands that nobody has read yet, at 445 bytes each."""
FULL = 0.95
"""Share of `maxmemory` from which a server counts as full, before it refuses its first write: what
is left of prod's 256 MB takes 500 of the largest commands."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a server has used of what it may use, in bytes; `most` is 0 where it has no limit."""

    used: int
    most: int

    @property
    def share(self) -> float:
        """Return the used share of the limit, more than 1 beyond it; 0 without a limit."""
        return self.used / self.most if self.most else 0.0

    @property
    def full(self) -> bool:
        """Whether the server will soon refuse writes, or does so already."""
        return self.share >= FULL


async def memory_of(client: "Redis") -> Memory:
    """Return a server's memory.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: there was no answer.
    """
    info = await client.info("memory")
    used = int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0))
    return Memory(used=used, most=int(info["maxmemory"]))
