"""It publishes and subscribes."""

from shared.generated.events import publish_command_received, subscribe_command_received


@subscribe_command_received(group="ledger")
async def store(event: object, delivery: object) -> None:
    """Store an event."""
    await publish_command_received(event)
