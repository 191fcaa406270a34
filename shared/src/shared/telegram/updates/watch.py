"""Watching handlers: a warning of a slow one, an end for one that does not end.

The time in which a handler waits for Redis to take an event is not its own and does not count;
where that takes long, the sender is told once. One look a quarter of a second sees to all of them,
so that a quick handler costs nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any, Self

import structlog

from shared.streams import publishing

log = structlog.get_logger(__name__)

EVERY = 0.25
"""Seconds between two looks."""
WARN_AT = 0.25
"""Share of its time after which a handler is warned of."""


DELAY_NOTICE_AFTER = 3.0
"""Seconds without an answer from Redis after which a sender is told that it takes longer."""


class TooSlowError(Exception):
    """A handler was not done within its time and was cancelled."""


@dataclass(slots=True, eq=False)
class Handling:
    """One update in the hands of the handlers: an async context manager.

    Raises:
        TooSlowError: at its end, where the handlers took longer than they may.
    """

    watch: "Watch"
    event_id: str
    tell_of_delay: Callable[[], Coroutine[Any, Any, None]]
    """Tells the sender that an event waits for Redis; called once at most."""
    handler: object = None
    """The handler that has it at this moment."""
    _task: asyncio.Task[Any] | None = None
    _ended: bool = False
    _started: float = field(default_factory=monotonic)
    _waited: float = 0.0
    _publishes: int = 0
    _publishing_since: float = 0.0
    _warned: bool = False
    _notified: bool = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        publishing.set(self._publish_changed)
        self.watch.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.watch.discard(self)
        publishing.set(None)
        if self._ended and self._task is not None:
            # As asyncio.timeout does: only the cancellation that was its own becomes an error.
            others = self._task.uncancel()
            if not others and kind is not None and issubclass(kind, asyncio.CancelledError):
                limit = f"{self.watch.limit:g} s"
                raise TooSlowError(f"{self.name} took longer than {limit}") from None

    @property
    def name(self) -> str:
        """Return the name of the handler, or of its kind where it has none."""
        callback = getattr(self.handler, "callback", None)
        return str(getattr(callback, "__qualname__", type(self.handler).__name__))

    def look(self, now: float) -> None:
        """Warn of it or end it, where it is time."""
        if self._publishes:
            if now - self._publishing_since >= DELAY_NOTICE_AFTER and not self._notified:
                self._notified = True
                self.watch.start(self.tell_of_delay())
            return
        took = now - self._started - self._waited
        if took >= self.watch.limit:
            self.watch.discard(self)
            if self._task is not None:
                self._ended = True
                self._task.cancel()
        elif took >= self.watch.limit * WARN_AT and not self._warned:
            self._warned = True
            log.warning(
                "handler is slow; the next updates of its sender wait, and no more than 1,100 of "
                "all senders can be in hand",
                handler=self.name,
                event_id=self.event_id,
                seconds=round(took, 1),
                ends_after=self.watch.limit,
            )

    def _publish_changed(self, change: int) -> None:
        """Note that one more publish waits, or one less."""
        now = monotonic()
        if not self._publishes:
            self._publishing_since = now
        self._publishes += change
        if not self._publishes:
            self._waited += now - self._publishing_since


class Watch:
    """Looks at every update that is in the hands of handlers.

    Args:
        limit: seconds that handlers may take for one update.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._watched: set[Handling] = set()
        self._looking = False
        self._started: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.create_task(work, name="tell of delay")
        self._started.add(task)
        task.add_done_callback(self._started.discard)

    def add(self, handling: Handling) -> None:
        """Look at it from now on."""
        self._watched.add(handling)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(EVERY, self._look)

    def discard(self, handling: Handling) -> None:
        """Look at it no more."""
        self._watched.discard(handling)

    def _look(self) -> None:
        self._looking = bool(self._watched)
        if not self._looking:
            return
        now = monotonic()
        for handling in tuple(self._watched):
            handling.look(now)
        asyncio.get_running_loop().call_later(EVERY, self._look)
