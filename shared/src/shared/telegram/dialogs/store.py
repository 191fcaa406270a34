"""The records of dialogs in Redis: read before an update is handled, written after it, in one step.

A step is fenced by the id of its update, and by the record that it began with. A bot that was
frozen, and whose update another one has handled meanwhile, writes nothing; nor does a repeated
update. It stands beside `telegram_update`, to which every bot may write.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from redis.exceptions import OutOfMemoryError

from shared.generated.events import broker, telegram_update
from shared.keys import MARKER_LIFETIME, beside
from shared.streams.publish.observing import observed
from shared.streams.retry import RedisOutage, until_answered
from shared.telegram.dialogs.record import Record

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

    from shared.streams.server.line import Argument

LIFETIME = 30 * 24 * 3600
"""Seconds for which a dialog waits for its user."""


class Store:
    """The dialogs of one bot.

    Args:
        bot_id: which bot.
    """

    def __init__(self, bot_id: int) -> None:
        self._bot_id = bot_id
        self._outage = RedisOutage("dialogs")

    async def read(self, user: int, mark: str) -> Record | None:
        """Return where a user stands; None where the update with this mark has had its step.

        Waits while Redis is away, and the sender is told as when an event is delayed.
        """
        client: Redis = await broker.connect()

        async def ask() -> list[bytes | None]:
            both: Pipeline = client.pipeline(transaction=False)
            both.get(self._record(user))
            both.get(self._mark(mark))
            answers: list[bytes | None] = await both.execute()
            return answers

        raw, marked = await observed(until_answered(ask, self._outage))
        return None if marked else Record.of(raw)

    async def write(self, user: int, mark: str, record: Record) -> bool:
        """Take the step of an update; durable on return. False where it has to be handled again.

        Raises:
            UnstorableError: the record cannot be written.
            redis.exceptions.OutOfMemoryError: Redis is full.
        """
        keys = [self._record(user), self._mark(mark)]
        arguments: list[Argument] = [record.raw, record.written(), LIFETIME, MARKER_LIFETIME]

        async def take() -> bytes:
            answer: bytes = await broker.run_script(
                telegram_update, _source("step"), keys, arguments
            )
            return answer

        taking = until_answered(take, self._outage, (OutOfMemoryError,))
        return await observed(taking) != b"moved"

    async def end(self, mark: str) -> None:
        """Note that an update will have no step; it is not handled again."""

        async def set_mark() -> None:
            keys = [self._mark(mark)]
            await broker.run_script(telegram_update, _source("end"), keys, [MARKER_LIFETIME])

        await until_answered(set_mark, self._outage)

    def _record(self, user: int) -> str:
        return beside(telegram_update.name, f"dialogs:{self._bot_id}:{user}")

    def _mark(self, mark: str) -> str:
        return beside(telegram_update.name, f"step:{self._bot_id}:{mark}")


@cache
def _source(name: str) -> str:
    """Return one of the scripts of this folder."""
    return files("shared.telegram.dialogs").joinpath(f"{name}.lua").read_text(encoding="utf-8")
