"""How the consumers of a process stand, and when one has ended though nobody asked it to."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from shared.streams.errors import ConsumerStoppedError


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """What a readiness check wants to know: is it running, and how far behind is its group.

    `lag` counts the entries that the group has not read yet (None where Redis cannot tell),
    `pending` those that it has read but not finished with. `lag_seconds` is the age of the oldest
    entry not read.
    """

    stream: str
    group: str
    running: bool
    lag: int | None
    pending: int
    oldest_pending_seconds: float | None
    lag_seconds: float | None = None


async def until_one_ends(consuming: Collection["asyncio.Task[None]"]) -> None:
    """Wait until one of the tasks ends in which consumers read; for ever where there is none.

    Raises:
        ConsumerStoppedError: one has; or what it has raised.
    """
    if not consuming:
        await asyncio.Event().wait()
    done, _ = await asyncio.wait(consuming, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        with suppress(asyncio.CancelledError):
            task.result()
    raise ConsumerStoppedError(f"{', '.join(task.get_name() for task in done)} ended by itself")
