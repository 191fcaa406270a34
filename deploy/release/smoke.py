"""What the smoke test on the host does: one event, from the publisher's code to its effect."""

from collections.abc import Collection
from typing import Any

from infra.stack import Plan, Variable

EVENT = "command_received"
CODE = """\
import asyncio, os, pathlib, sys
from datetime import UTC, datetime
from shared.generated.events import broker, command_received, publish_command_received
from shared.generated.schemas import CommandReceived
file = os.environ.get("@URL@_FILE")
url = pathlib.Path(file).read_text().strip() if file else os.environ["@URL@"]
async def main():
    await broker.connect(url, source="/deploy")
    event = CommandReceived(command="/smoke", args=[], user_id=1, timestamp=datetime.now(UTC))
    published = await asyncio.wait_for(
        publish_command_received(event, event_id=sys.argv[1]), 30)
    print(published.entry_id)
    await broker.close()
asyncio.run(main())
"""


def undo(service: str) -> list[str]:
    """Return the command of a subscriber that undoes one event and prints how often it counted.

    The event's id is added.
    """
    return ["python", "-m", f"{service}.undo"]


def url_of_redis(plan: Plan, service: str) -> Variable | None:
    """Return the variable that has the address of our own Redis; None where it has none."""
    names = {part.name for part in plan.stores("prod") if part.type == "redis"}
    for variable in plan.service(service).env:
        reference = variable.reference
        if reference and reference.attribute == "url" and reference.target in names:
            return variable
    return None


def smoke(plan: Plan, undoing: Collection[str]) -> dict[str, Any] | None:
    """Return what the agent needs for the smoke test; None where the stack has no such event.

    Args:
        plan: The stack.
        undoing: The services that can undo an event. What the others do with one stays; of them
            it is seen only that they have consumed it.
    """
    event = next((event for event in plan.events if event.name == EVENT), None)
    if event is None or not event.subscribers:
        return None
    # The service that publishes and nothing else: the one whose events come from outside.
    publishers = [service for service in event.publishers if service not in event.subscribers]
    url = url_of_redis(plan, publishers[0]) if publishers else None
    if url is None or url.reference is None:
        return None
    return {
        "publisher": publishers[0],
        "groups": list(event.subscribers),
        "stream": event.name,
        "redis": url.reference.target,
        "code": CODE.replace("@URL@", url.name),
        "undo": {name: undo(name) for name in event.subscribers if name in undoing},
    }
