"""Updates that are confirmed before they are finished: they stand in Redis until they are.

Telegram shows a hundred updates from the oldest unfinished one on, so a hundred slow handlers
would hold up everybody; and it wants half a second between two requests with the same offset, so
one would delay everybody by that. What takes long is therefore written to Redis and confirmed
while its handler goes on. Whoever holds the lease next is given what stands there before it
fetches, in the order in which it came, as Telegram gives again what is not confirmed.

It stands beside `telegram_update`, to which every bot may write.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any, Self

import structlog
from redis.exceptions import RedisError

from shared.generated.events import broker, telegram_update
from shared.keys import beside
from shared.metrics import catalogue
from shared.streams.retry import RedisOutage, until_answered
from shared.telegram.api.answers import has_id

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

MOST = 1_000
"""Updates that are parked at the same time; what comes after them waits at Telegram."""
FRESH = 24 * 3600.0
"""Seconds after which a parked update is not handled by itself any more, as Telegram repeats none
for longer; an event id is remembered for three days, so until then nothing is doubled."""
ANSWER_WITHIN = 2.0
"""Seconds that Redis gets to take updates; where it does not, they are parked later."""


@dataclass(frozen=True, slots=True)
class Parked:
    """An update as it stands in Redis; `since` is when it was taken, in seconds since 1970."""

    update: dict[str, Any]
    since: float

    @property
    def fresh(self) -> bool:
        """Whether it may still be handled by itself."""
        return time() - self.since < FRESH

    def written(self) -> str:
        """Return it as it stands in Redis."""
        return json.dumps({"since": self.since, "update": self.update})

    @classmethod
    def read(cls, update_id: int, text: bytes) -> Self:
        """Return what stands in Redis; a later release may write more than is read here.

        Raises:
            ValueError: it is no update of this id.
        """
        try:
            content = json.loads(text)
            update, since = content["update"], content["since"]
            seconds = float(since) if isinstance(since, int | float) else None
        except (LookupError, TypeError, RecursionError, OverflowError) as error:
            raise ValueError(type(error).__name__) from error
        if seconds is None or not has_id(update) or update["update_id"] != update_id:
            raise ValueError("another id, or no time")
        return cls(update, seconds)


class Parking:
    """What one bot has parked; `here` are the ids that this process has in hand, or may have."""

    def __init__(self, bot_id: int) -> None:
        self.here: set[int] = set()
        self._key = beside(telegram_update.name, f"parked:{bot_id}")
        self._outage = RedisOutage("parked updates")
        self._writing = asyncio.Lock()

    @property
    def room(self) -> int:
        """Return how many more may be parked."""
        return max(0, MOST - len(self.here))

    async def park(self, updates: Mapping[int, Parked]) -> bool:
        """Write updates, by their ids; whether they are durable now. It does not wait long."""
        self.here.update(updates)  # also where nobody knows whether Redis has them
        entries: list[str] = []
        for update_id, parked in updates.items():
            entries += [str(update_id), parked.written()]
        try:
            # What is taken out meanwhile waits for as long as Redis is away.
            async with asyncio.timeout(ANSWER_WITHIN), self._writing:
                await broker.write(telegram_update, "HSET", self._key, *entries)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            log.debug("updates not parked", reason=type(error).__name__)
            return False
        catalogue.UPDATES.add("parked", by=len(updates))
        return True

    async def finish(self, update_id: int) -> None:
        """Take an update out; what came of it is durable."""

        async def take_out() -> None:
            await broker.write(telegram_update, "HDEL", self._key, str(update_id))

        async with self._writing:
            await until_answered(take_out, self._outage)
        self.here.discard(update_id)

    async def take_over(self) -> list[Parked]:
        """Return what others have parked, or this process before it was started, in its order.

        What nobody can read stays where it is, and holds up nothing.
        """
        client: Redis = await broker.connect()

        async def read() -> Any:
            return await client.hgetall(self._key)

        entries = await until_answered(read, self._outage)
        others: dict[int, Parked] = {}
        for key, text in entries.items():
            try:
                update_id = int(key)
                others[update_id] = Parked.read(update_id, text)
            except ValueError as error:
                log.error("parked update cannot be read", key=repr(key), reason=str(error))  # noqa: TRY400 — it is told whole
        for update_id in self.here & others.keys():
            del others[update_id]
        self.here.update(others)
        return [others[key] for key in sorted(others, key=lambda i: (others[i].since, i))]
