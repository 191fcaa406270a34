"""The lock on a host: a deployer's, renewed for as long as that lives, or one taken by hand."""

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from deploy.errors import DeployError, RemoteError
from deploy.outcome import Act
from deploy.ssh import commands
from deploy.ssh.link import Link, Say

SECONDS = 60
EVERY = 15


@contextmanager
def locked(link: Link, who: str, reason: str) -> Iterator[Callable[[], None]]:
    """Hold the host's lock inside the block; it is given what renews it at once.

    Raises:
        RemoteError: Somebody else holds it; the message says who.
    """
    token = secrets.token_hex(8)
    words = ("lock", "--token", token, "--reason", reason, "--seconds", str(SECONDS))
    over = threading.Event()

    def renew() -> None:
        link.agent("--who", who, *words)

    def keep_renewing() -> None:
        while not over.wait(EVERY):
            # The lock lasts for several of these; the next one may get through.
            with suppress(DeployError):
                renew()

    renew()
    thread = threading.Thread(target=keep_renewing, daemon=True)
    thread.start()
    try:
        yield renew
    finally:
        over.set()
        thread.join()
        # Where it cannot be given back it runs out; how the work ended is what matters.
        with suppress(DeployError):
            link.agent("unlock", "--token", token)


def lock(link: Link, who: str, reason: str, say: Say, *, dry: bool) -> Iterator[Act]:
    """Keep everybody from deploying until `unlock`.

    Raises:
        RemoteError: Somebody has locked it already.
    """
    first = commands.preflight(link.host)
    if dry:
        if held := link.status("", first=first)["lock"]:
            raise RemoteError(f"would be refused: locked by {held}", os.EX_TEMPFAIL)
        say(f"would lock: {reason}")

    def take() -> int:
        words = ("lock", "--token", f"by-hand-{secrets.token_hex(4)}", "--reason", reason)
        link.agent("--who", who, *words, first=first)
        say(f"locked by {who}: {reason}")
        return os.EX_OK

    yield take


def unlock(link: Link, say: Say, *, dry: bool) -> Iterator[Act]:
    """Take the lock away, whoever holds it."""
    first = commands.preflight(link.host)
    if dry:
        held = link.status("", first=first)["lock"]
        say(f"would take away the lock of {held}" if held else "there is no lock")

    def take_away() -> int:
        say(link.agent("unlock", first=first).strip())
        return os.EX_OK

    yield take_away
