"""What the smoke test on the host does: one event, from the publisher's code to its effect."""

from typing import Any

from infra.stack import Plan

EVENT = "command_received"
CODE = """\
import asyncio, os, pathlib, sys
from datetime import UTC, datetime
from shared.generated.events import broker, command_received, publish_command_received
from shared.generated.schemas import CommandReceived
file = os.environ.get("REDIS_URL_FILE")
url = pathlib.Path(file).read_text().strip() if file else os.environ["REDIS_URL"]
async def main():
    await broker.connect(url, source="/deploy")
    event = CommandReceived(command="/smoke", args=[], user_id=1, timestamp=datetime.now(UTC))
    published = await asyncio.wait_for(
        publish_command_received(event, event_id=sys.argv[1]), 30)
    print(published.entry_id)
    await broker.close()
asyncio.run(main())
"""


def forget(service: str) -> list[str]:
    """Return the command of a subscriber that undoes one event and prints how often it counted.

    Every subscriber has it; the event's id is added.
    """
    return ["python", "-m", f"{service}.forget"]


def smoke(plan: Plan) -> dict[str, Any] | None:
    """Return what the agent needs for the smoke test; None where the stack has no such event."""
    event = next((one for one in plan.events if one.name == EVENT), None)
    parts = {part.type: part.name for part in plan.infrastructure}
    if event is None or not event.subscribers or "redis" not in parts:
        return None
    # The service that publishes and nothing else: the one whose events come from outside.
    publishers = [one for one in event.publishers if one not in event.subscribers]
    if not publishers:
        return None
    return {
        "publisher": publishers[0],
        "groups": list(event.subscribers),
        "stream": event.name,
        "redis": parts["redis"],
        "code": CODE,
        "forget": {name: forget(name) for name in event.subscribers},
    }
