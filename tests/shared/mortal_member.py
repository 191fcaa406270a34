"""`python -m tests.shared.mortal_member URL NUMBER`: a consumer that one event kills.

It notes what it has handled in the set `handled`.
"""

import asyncio
import os
import signal
import sys

from shared.streams import Delivery, Limits, StreamBroker
from tests.shared.said import SAID, Said

LIMITS = Limits(
    block=0.05, claim_after=0.5, in_hand=128, concurrency=128, deliveries=5, first_retry=0.01
)
WORK = 0.05
"""Seconds that a handler takes; nothing beside the event that kills is done when it strikes."""


async def run(url: str, deadly: int) -> None:
    """Consume until killed."""
    broker = StreamBroker()
    client = await broker.connect(url)

    async def handle(event: Said, delivery: Delivery) -> None:
        if event.number == deadly:
            await asyncio.sleep(WORK / 2)
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(WORK)
        await client.sadd("handled", delivery.event_id)

    broker.subscribe_event(SAID, group="g", limits=LIMITS)(handle)
    await broker.start_consumers()
    await broker.consumers_stopped()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
