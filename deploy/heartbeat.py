"""The lock on a host, renewed for as long as the deployer lives."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from deploy.errors import DeployError
from deploy.remote import Remote

SECONDS = 60
EVERY = 15


@contextmanager
def locked(remote: Remote, who: str, reason: str) -> Iterator[Callable[[], None]]:
    """Hold the host's lock inside the block; it is given what renews it at once.

    Raises:
        RemoteError: Somebody else holds it; the message says who.
    """
    token = secrets.token_hex(8)
    words = ("lock", "--token", token, "--reason", reason, "--seconds", str(SECONDS))
    over = threading.Event()

    def renew() -> None:
        remote.agent("--who", who, *words)

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
            remote.agent("unlock", "--token", token)
