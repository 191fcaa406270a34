"""Reading a stream in a consumer group: every entry is handled, or stands in the dead letters.

An entry stays in the group's pending list until its handler has returned, so a consumer that dies
loses nothing: another one claims what has been left alone for too long. A handler may therefore
see an event twice and stores the event's id in the same transaction as its effect.
"""

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog
from pydantic import BaseModel
from redis.exceptions import ResponseError

from shared.process import Backoff, check_cancelled, describe
from shared.streams.consume.group import Group
from shared.streams.consume.hand import Hand, Handler
from shared.streams.consume.limits import Limits
from shared.streams.consume.turns import Turns
from shared.streams.event.envelope import EventStream
from shared.streams.retry import UNKNOWN, RedisOutage

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

CLAIM_AGAIN = 0.5
"""Seconds between two rounds of claiming while there is more than one round can take."""


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """What a readiness check wants to know: is it running, and how far behind is its group.

    `lag` counts the entries that the group has not read yet (None where Redis cannot tell),
    `pending` those that it has read but not finished with.
    """

    stream: str
    group: str
    running: bool
    lag: int | None
    pending: int
    oldest_pending_seconds: float | None


class Consumer(Generic[M]):
    """Handles the entries of one stream as a member of one group, until it is stopped."""

    def __init__(
        self, stream: EventStream[M], group: str, handler: Handler[M], limits: Limits | None = None
    ) -> None:
        self.stream = stream
        self.group = group
        self._handler = handler
        self._limits = limits or Limits()
        self._task: asyncio.Task[None] | None = None
        self._group: Group | None = None

    @property
    def running(self) -> bool:
        """Whether it reads: started, and neither stopped nor ended by itself."""
        return self._task is not None and not self._task.done()

    def start(self, client: "Redis", turns: Turns) -> asyncio.Task[None]:
        """Begin to read; the task that is returned ends when the consumer is stopped.

        Args:
            client: the server.
            turns: what the consumers of one process share, so that an entry can be handled alone.
        """
        member = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._group = Group(client, self.stream.name, self.group, member)
        hand = Hand(self._group, self.stream, self._handler, self._limits, turns)
        self._loop = _Loop(self._group, self.stream.name, hand, self._limits)
        self._task = asyncio.create_task(self._loop.run(), name=f"consume {self.stream.name}")
        return self._task

    async def stop(self, grace: float) -> None:
        """Read no more, let running handlers finish for `grace` seconds, hand over the rest."""
        if self._task is None:
            return
        self._loop.stopping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({self._task}, timeout=grace)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def state(self) -> ConsumerState:
        """Return the state; raises RedisError where Redis does not tell."""
        if self._group is None:
            return ConsumerState(self.stream.name, self.group, self.running, None, 0, None)
        state = await self._group.state()
        return ConsumerState(
            stream=self.stream.name,
            group=self.group,
            running=self.running,
            lag=state.lag,
            pending=state.pending,
            oldest_pending_seconds=state.oldest_pending_seconds,
        )


class _Loop(Generic[M]):
    """One run of a consumer, from its start to its stop."""

    def __init__(self, group: Group, stream: str, hand: Hand[M], limits: Limits) -> None:
        self.stopping = asyncio.Event()
        self._group = group
        self._stream = stream
        self._hand = hand
        self._limits = limits
        self._outage = RedisOutage("consume")

    async def run(self) -> None:
        """Read and handle until told to stop, then drain."""
        keeper = asyncio.create_task(self._keep_house(), name=f"keep {self._stream}")
        try:
            await self._read()
            if waiting := await self._hand.drain():
                with suppress(*UNKNOWN):
                    await self._group.keep(waiting, idle=self._limits.claim_after + 1)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._hand.drop()

    async def _read(self) -> None:
        """Take new entries in hand, never more than `in_hand` at a time."""
        backoff = Backoff()
        has_group = False
        while not self.stopping.is_set():
            check_cancelled()
            try:
                if not has_group:
                    await self._group.create()
                    has_group = True
                room = self._limits.in_hand - len(self._hand)
                if room <= 0:
                    await self._hand.some_finished(1.0)
                    continue
                self._hand.take(await self._group.read(room, self._limits.block))
            except UNKNOWN as error:
                if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
                    has_group = False
                self._outage.failed(error)
                await self._pause(backoff.next())
            else:
                self._outage.worked()
                backoff.reset()

    async def _keep_house(self) -> None:
        """Claim what dead members left, and keep others off what is in hand."""
        while True:
            check_cancelled()
            pause = self._limits.claim_after / 3
            try:
                if ids := self._hand.ids:
                    await self._group.keep(ids)
                # Room of its own: a backlog that fills the reader's must not hold this back.
                room = 2 * self._limits.in_hand - len(self._hand)
                if room > 0 and not self.stopping.is_set():
                    abandoned = await self._group.claim(room, self._limits.claim_after)
                    self._hand.take(abandoned)
                    pause = CLAIM_AGAIN if len(abandoned) == room else pause
            except UNKNOWN as error:
                log.debug("housekeeping put off", reason=describe(error))
            await asyncio.sleep(pause)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
