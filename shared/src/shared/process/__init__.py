"""The life of a process: settings and logs, signals, waiting for what is away, health, its end.

A service's `__main__` is one call:

    async def work(settings: Settings, stop: asyncio.Event) -> None: ...  # until `stop` is set

    sys.exit(run_process("ledger", Settings, work))
"""

from shared.process.backoff import (
    Backoff,
    Outage,
    check_cancelled,
    describe,
    jitter,
    until_it_works,
)
from shared.process.exits import ListenError, ProcessError, SetupError
from shared.process.health import Check, serve_health
from shared.process.life import run_process, unless_stopped, until_one_ends

__all__ = [
    "Backoff",
    "Check",
    "ListenError",
    "Outage",
    "ProcessError",
    "SetupError",
    "check_cancelled",
    "describe",
    "jitter",
    "run_process",
    "serve_health",
    "unless_stopped",
    "until_it_works",
    "until_one_ends",
]
