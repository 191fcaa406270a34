"""It was copied from the other."""

from shared.generated.events import subscribe_command_received as subscribe

GROUP = "ledger"


async def store(event: object, delivery: object) -> None:
    """Store an event."""


subscribe(group=GROUP)(store)
subscribe(group="audit")(store)
