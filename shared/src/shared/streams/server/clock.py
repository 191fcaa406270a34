"""The server's time, as far as a client knows it.

A marker lives by the server's clock. So does the time after which an event may be appended no more,
whatever this machine's clock says, was set to, or missed while the machine slept.
"""

from collections.abc import Callable
from time import time

TRUSTED = 2.0
"""Seconds from question to answer up to which the answer's time counts as now."""


class ServerClock:
    """Knows how far a server's clock is ahead of this machine's, from the answers it has seen.

    Args:
        now: this machine's clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time) -> None:
        self.now = now
        self._ahead: float | None = None

    @property
    def known(self) -> bool:
        """Whether there was an answer yet."""
        return self._ahead is not None

    def answered(self, asked: float, seconds: float) -> None:
        """Take note of an answer.

        Args:
            asked: when the question was sent, by this machine's clock.
            seconds: the server's time in the answer.
        """
        now = self.now()
        # An answer that lay about, in a socket of a process that was frozen, tells nothing.
        if abs(now - asked) <= TRUSTED or self._ahead is None:
            self._ahead = seconds - now

    def there(self, here: float) -> float | None:
        """Return the server's time at a moment of this machine's clock; None where not known."""
        return None if self._ahead is None else here + self._ahead
