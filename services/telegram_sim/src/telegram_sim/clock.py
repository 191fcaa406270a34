"""Telegram's time: the machine's time, plus what a test has moved it ahead by."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """A clock that runs with the machine's and can be moved ahead.

    Everything that waits for a moment of this clock waits through `at` or `sleep`, so that moving
    the clock ahead by a day makes a day's worth of timers due.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self._shift = shift
        self._timers: set[Timer] = set()

    @property
    def shift(self) -> float:
        """Seconds that this clock is ahead of the machine's."""
        return self._shift

    def now(self) -> float:
        """Return the simulated moment in Unix seconds."""
        return time.time() + self._shift

    def date(self) -> int:
        """Return the simulated moment in whole Unix seconds, as the Bot API gives dates."""
        return int(self.now())

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring and for deadlines."""
        return time.monotonic() + self._shift

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, and run every timer that this makes due."""
        self._shift += seconds
        for timer in tuple(self._timers):
            timer.rearm()

    def at(self, moment: float, call: Callable[[], None]) -> "Timer":
        """Call a function once at a moment of `monotonic`; the timer returned can be cancelled."""
        timer = Timer(self, self._timers, moment, call)
        timer.rearm()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of simulated seconds."""
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.at(self.monotonic() + seconds, wake)
        try:
            await woken
        finally:
            timer.cancel()


class Timer:
    """One function to be called at one moment of a clock."""

    def __init__(
        self, clock: Clock, timers: set["Timer"], moment: float, call: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._moment = moment
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def rearm(self) -> None:
        """Wait for the moment anew, because the clock may have been moved."""
        if self._handle is not None:
            self._handle.cancel()
        self._timers.add(self)
        left = max(0.0, self._moment - self._clock.monotonic())
        self._handle = asyncio.get_running_loop().call_later(left, self._fire)

    def cancel(self) -> None:
        """Do not call the function any more."""
        self._timers.discard(self)
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        self._timers.discard(self)
        self._call()
