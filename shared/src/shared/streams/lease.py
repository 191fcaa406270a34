"""A lease in Redis: of all processes that contend for it, one holds it at a time.

The holder renews it well before it ends, and counts its own time from before it asked, so that it
stops before anybody else can begin. A holder that is killed is followed within the lease's length,
one that gives it back within a quarter of a second. The term grows with every change of holder,
except where the primary of a Redis with copies changes: two have held a lease in one term. It is no
fence: nothing that is written is held against it. What a late holder still writes is told by its
event id, or refused for its age.
"""

import asyncio
import os
import secrets
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog

from shared.keys import lease_of, touch_of
from shared.process import check_cancelled
from shared.streams.retry import UNKNOWN, RedisOutage
from shared.streams.server.primary import has_copies
from shared.streams.server.replicated import ReplicatedLine, script_call
from shared.streams.server.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

LENGTH = 3.0
"""Seconds that a lease lasts without being renewed."""
MARGIN = 0.5
"""Seconds by which a holder stops early; more than two clocks drift apart in one lease."""
RENEW_EVERY = 0.75
ASK_EVERY = 0.25


class Lease:
    """One contender for one lease."""

    def __init__(self, client: "Redis", stream: str, name: str) -> None:
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.term = 0
        key = lease_of(stream, name)
        self._take = client.register_script(load_script("lease"))
        release = load_script("release")
        self._release: Callable[..., Awaitable[Any]] = client.register_script(release)
        self._line = ReplicatedLine(client, LENGTH) if has_copies(client) else None
        self._touch = touch_of(stream)
        self._keys = [key, f"{key}:token"]  # named so by releases that run beside this one
        self._until = 0.0
        self._held = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._contending: asyncio.Task[None] | None = None
        self._outage = RedisOutage("lease")

    @property
    def held(self) -> bool:
        """Whether this process holds the lease at this moment."""
        return monotonic() < self._until

    async def acquire(self) -> None:
        """Return when this process holds the lease; from then on it is renewed by itself."""
        if self._contending is None:
            self._contending = asyncio.create_task(self._contend(), name="lease")
        while not self.held:
            await self._held.wait()
            if not self.held:
                self._drop()

    async def lost(self) -> None:
        """Return when this process holds the lease no more."""
        await self._lost.wait()

    async def release(self) -> None:
        """Contend no more, and give the lease back where it is held."""
        if self._contending is not None:
            self._contending.cancel()
            await asyncio.gather(self._contending, return_exceptions=True)
            self._contending = None
        if self.held:
            try:
                async with asyncio.timeout(1.0):
                    await self._release(self._keys[:1], [self.owner])
            except UNKNOWN:
                log.warning("lease not given back; it ends by itself", seconds=LENGTH)
        if self._line is not None:
            await self._line.close()
        self._drop()

    async def _contend(self) -> None:
        """Ask for the lease, or renew it, again and again."""
        while True:
            check_cancelled()
            asked = monotonic()
            patience = max(0.05, self._until - asked) if self.held else LENGTH
            try:
                async with asyncio.timeout(patience):
                    term = await self._ask()
            except UNKNOWN as error:
                self._outage.failed(error, asked)
            else:
                self._outage.worked()
                self._answered(asked, term)
            if not self.held:
                self._drop()
            await asyncio.sleep(self._pause(asked))

    async def _ask(self) -> int:
        """Return the term in which this process holds the lease, or 0.

        With copies a replica has it as well: a holder that was cut off with its server loses it.
        """
        args = (self.owner, int(LENGTH * 1000))
        if self._line is None:
            return int(await self._take(self._keys, args))
        call = script_call(self._take, self._keys, args, self._touch)
        return int(await self._line.call(call, keep=False))

    def _answered(self, asked: float, term: int) -> None:
        """Take note of what Redis said."""
        if not term:
            self._until = 0.0
            return
        self._until = asked + LENGTH - MARGIN
        self.term = term
        if not self._held.is_set():
            self._lost.clear()
            self._held.set()

    def _pause(self, asked: float) -> float:
        """Return the seconds until the next try; a holder is never late for its own end."""
        if not self.held or self._outage.lasts:
            return min(ASK_EVERY, max(0.01, self._until - monotonic())) if self.held else ASK_EVERY
        return max(0.0, asked + RENEW_EVERY - monotonic())

    def _drop(self) -> None:
        self._until = 0.0
        self._held.clear()
        self._lost.set()
