"""How a consumer reads and retries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How a consumer reads and retries; times are seconds."""

    in_hand: int = 64
    """Entries that are read but not finished with."""
    concurrency: int = 8
    """Handlers that run at the same time."""
    deliveries: int = 8
    """How often an entry is handed to a handler before it goes to the dead letters."""
    block: float = 1.0
    """How long one read waits for new entries."""
    claim_after: float = 15.0
    """Idle time after which another consumer's pending entry counts as abandoned."""
    first_retry: float = 0.2
    last_retry: float = 30.0
