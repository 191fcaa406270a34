"""Who may deploy: a lock with owner, reason and expiry, kept by heartbeats.

A deployer that dies stops renewing, and its lock runs out: by the time since the host's boot, which
nobody can put back. The cut-over itself is guarded by the kernel besides: a process that holds
CUT_OVER cannot leave it behind when it dies.
"""

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.agent.host.audit import utc
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json, Layout, read_json, remove_durably, write_json

CUT_OVER = "cut-over.flock"
PATIENCE = 2.0
"""Seconds to try for a lock of the kernel's: whoever looks at it holds it for a moment."""
MUTEX = "lock.flock"
NEVER: Json = {"expires": None}
BOOT = Path("/proc/sys/kernel/random/boot_id")


def holder(layout: Layout) -> Json | None:
    """Return the lock that is in force; None where there is none, or it has run out."""
    try:
        facts = read_json(layout.lock)
    except AgentError as error:
        # Whoever it was: only `make unlock` takes it away.
        return {"token": "", "owner": "somebody", "since": "?", "reason": str(error)} | NEVER
    return None if facts is None or seconds_left(facts) < 0 else facts


def seconds_left(held: Json) -> float:
    """Return how long a lock lasts without being renewed; infinity where it does not expire."""
    if held["expires"] is None:
        return math.inf
    if "boot" not in held:  # an earlier version has written it
        return float(held["expires"]) - time.time()
    return float(held["ends"]) - uptime() if held["boot"] == boot() else -1.0


def uptime() -> float:
    """Return the seconds since the host was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> str:
    """Return what tells this run of the host from every other one."""
    return BOOT.read_text(encoding="ascii").strip()


def take(layout: Layout, token: str, owner: str, reason: str, seconds: float | None) -> None:
    """Take the lock, or renew it under the same token.

    Args:
        layout: The host's folders.
        token: Tells this holder from every other one.
        owner: Who holds it, for people.
        reason: Why.
        seconds: When it runs out if it is not renewed; None for never.

    Raises:
        AgentError: Somebody else holds it.
    """
    with flock(layout, MUTEX, wait=True):
        held = holder(layout)
        if held is not None and held["token"] != token:
            raise AgentError(f"locked by {describe(held)}; to take it away: make unlock", 75)
        since = held["since"] if held else utc()
        facts = {"token": token, "owner": owner, "reason": reason, "since": since}
        if seconds is None or (held and held["expires"] is None):
            facts |= NEVER
        else:
            end = {"ends": uptime() + seconds, "boot": boot()}
            facts |= {"expires": time.time() + seconds, **end}
        write_json(layout.lock, facts)


def give_back(layout: Layout, token: str) -> Json | None:
    """Give the lock back, or take it away with an empty token; return the lock that was there."""
    with flock(layout, MUTEX, wait=True):
        held = holder(layout)
        if held is not None and token and held["token"] != token:
            return None
        remove_durably(layout.lock)
        return held


def describe(held: Json) -> str:
    """Return what a person wants to know of a lock."""
    left = seconds_left(held)
    until = "does not expire" if left == math.inf else f"expires in {left:.0f} s unless renewed"
    return f"{held['owner']} since {held['since']} ({held['reason']}; {until})"


@contextmanager
def flock(layout: Layout, name: str, *, wait: bool) -> Iterator[None]:
    """Hold a lock of the kernel's, which ends with the process.

    Raises:
        AgentError: Another process holds it, and we do not wait.
    """
    layout.state.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + PATIENCE
    with (layout.state / name).open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                if time.monotonic() > deadline:
                    text = "a cut-over is under way on this host; try again later"
                    raise AgentError(text, os.EX_TEMPFAIL) from None
                time.sleep(0.05)
            else:
                break
        yield


def busy(layout: Layout) -> bool:
    """Whether a cut-over is under way."""
    path = layout.state / CUT_OVER
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
