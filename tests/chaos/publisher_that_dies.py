"""`python -m tests.chaos.publisher_that_dies`: the publisher alone, fed from a file.

The file stands in for Telegram: one JSON object a line, and beside it the number of lines that are
confirmed. A batch is published at once; its lines are confirmed when all of them have an outcome.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.generated.events import EventRefusedError, broker, publish_command_received
from shared.generated.schemas import CommandReceived
from tests.chaos.dying import before
from tests.chaos.points import wrap_publisher
from tests.chaos.sabotage import sabotage

BEFORE_CONFIRM = "before confirm"
BATCH = 100


class Feed:
    """A file of commands and the count of those that are confirmed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.with_suffix(".offset")

    def append(self, lines: list[dict[str, Any]]) -> None:
        """Add commands; they are on disk when this returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def lines(self) -> list[dict[str, Any]]:
        """Return every command that is complete."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    @property
    def confirmed(self) -> int:
        """Return how many lines are confirmed."""
        return int(self._offset.read_text()) if self._offset.exists() else 0

    async def confirm(self, count: int) -> None:
        """Confirm so many lines, atomically."""
        draft = self._offset.with_suffix(f".{os.getpid()}")
        draft.write_text(str(max(count, self.confirmed)))
        draft.replace(self._offset)


async def run(feed: Feed, redis_url: str) -> None:
    """Publish what is fed until SIGTERM; a batch that was begun is finished and confirmed."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await broker.connect(redis_url, source="/chaos")
    confirm = before(feed.confirm, BEFORE_CONFIRM)
    while not stop.is_set():
        start = feed.confirmed
        batch = feed.lines()[start : start + BATCH]
        if batch:
            await asyncio.gather(*(publish(line) for line in batch))
            await confirm(start + len(batch))
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.02)
    await broker.close()


async def publish(line: dict[str, Any]) -> None:
    """Publish one command, or have it refused."""
    event = CommandReceived(
        command=line["text"], args=[], user_id=line["user"], timestamp=datetime.now(UTC)
    )
    with suppress(EventRefusedError):
        await publish_command_received(event, event_id=line["event_id"])


if __name__ == "__main__":
    wrap_publisher()
    sabotage()
    asyncio.run(run(Feed(Path(os.environ["CHAOS_FEED"])), os.environ["REDIS_URL"]))
