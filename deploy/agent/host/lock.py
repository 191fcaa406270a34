"""Who may deploy: a lock with owner, reason and expiry, kept by heartbeats, on the host's clock.

A deployer that dies stops renewing, and its lock runs out. The cut-over itself is guarded by the
kernel besides: a process that holds CUT_OVER cannot leave it behind when it dies.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.agent.host.audit import utc
from deploy.agent.host.layout import AgentError, Json, Layout, read_json, remove_durably, write_json

CUT_OVER = "cut-over.flock"
PATIENCE = 2.0
"""Seconds to try for a lock of the kernel's: whoever looks at it holds it for a moment."""
MUTEX = "lock.flock"


def holder(layout: Layout) -> Json | None:
    """Return the lock that is in force; None where there is none, or it has run out."""
    found = read_json(layout.lock)
    if found is None or (found["expires"] is not None and found["expires"] < time.time()):
        return None
    return found


def acquire(layout: Layout, token: str, owner: str, reason: str, seconds: float | None) -> None:
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
        found = holder(layout)
        if found is not None and found["token"] != token:
            raise AgentError(f"locked by {describe(found)}; to take it away: make unlock", 75)
        since = found["since"] if found else utc()
        expires = None if seconds is None else time.time() + seconds
        if found and found["expires"] is None:
            expires = None
        write_json(
            layout.lock,
            {"token": token, "owner": owner, "reason": reason, "since": since, "expires": expires},
        )


def release(layout: Layout, token: str) -> Json | None:
    """Give the lock back, or take it away with an empty token; return the lock that was there."""
    with flock(layout, MUTEX, wait=True):
        found = holder(layout)
        if found is not None and token and found["token"] != token:
            return None
        remove_durably(layout.lock)
        return found


def describe(found: Json) -> str:
    """Return what a person wants to know of a lock."""
    left = "does not expire"
    if found["expires"] is not None:
        left = f"expires in {max(found['expires'] - time.time(), 0):.0f} s unless renewed"
    return f"{found['owner']} since {found['since']} ({found['reason']}; {left})"


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
                    told = "a cut-over is under way on this host; try again later"
                    raise AgentError(told, os.EX_TEMPFAIL) from None
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
