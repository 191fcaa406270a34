"""The clock that a test gives a publisher of its own."""

import time


class Clock:
    """This machine's clock; a test sets it, as people, and the end of a sleep, do."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the time that it shows."""
        return time.time() + self.ahead
