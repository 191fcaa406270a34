"""The lifespan of the broker in a bot.

`telegram_update` is the stream that every bot may write to: the lease of its token and the probe
of its health stand beside it.
"""

from typing import Any

from shared.generated.events import Lease, broker, telegram_update


async def connect_broker(redis_url: str, service: str) -> None:
    """Connect, and return once Redis takes writes; waits with backoff until it does."""
    await broker.connect(redis_url, source=f"/{service}")
    await broker.wait_until_writable(telegram_update)


async def close_broker() -> None:
    """Disconnect; a publish that still waits raises `NotConnectedError`."""
    await broker.close()


async def redis_health() -> tuple[bool, dict[str, Any]]:
    """Whether an event could be published right now, and what the bot's health says of Redis."""
    writes, memory = await broker.probe(telegram_update), await broker.memory()
    used = None if memory is None else round(memory.share, 3)
    return writes, {"redis_writable": writes, "redis_memory_used": used}


async def polling_lease(bot_id: int) -> Lease:
    """Return this process's contender for the right to poll as one bot."""
    return await broker.lease(telegram_update, str(bot_id))
