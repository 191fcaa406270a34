"""The lifespan of the broker in the bot."""

from shared.generated.events import Lease, broker, command_received

SOURCE = "/tg_bot"


async def connect_broker(redis_url: str) -> None:
    """Connect, and return once Redis takes writes; waits with backoff until it does."""
    await broker.connect(redis_url, source=SOURCE)
    await broker.wait_until_writable(command_received)


async def close_broker() -> None:
    """Disconnect; a publish that still waits raises `NotConnectedError`."""
    await broker.close()


async def redis_takes_writes() -> bool:
    """Whether a command could be published right now."""
    return await broker.probe(command_received)


async def redis_memory_used() -> float | None:
    """Return the share of its memory that Redis has used; None where it does not tell in time."""
    memory = await broker.memory()
    return None if memory is None else memory.share


async def polling_lease(bot_id: int) -> Lease:
    """Return this process's contender for the right to poll as one bot."""
    return await broker.lease(command_received, str(bot_id))


async def start_consumers() -> None:
    """Begin to read what is replayed."""
    await broker.start_consumers()


async def stop_consumers(grace: float) -> None:
    """Read no more, and let what is being handled finish for `grace` seconds."""
    await broker.stop_consumers(grace)


async def consumers_stopped() -> None:
    """Wait until a consumer ends by itself; raises `ConsumerStoppedError` then."""
    await broker.consumers_stopped()
