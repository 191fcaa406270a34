"""The lock on a host, renewed for as long as the deployer lives."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.errors import DeployError
from deploy.remote import Remote

SECONDS = 60
EVERY = 15


@contextmanager
def locked(remote: Remote, who: str, reason: str) -> Iterator[None]:
    """Hold the host's lock inside the block.

    Raises:
        RemoteError: Somebody else holds it; the message says who.
    """
    token = secrets.token_hex(8)
    words = ("lock", "--token", token, "--reason", reason, "--seconds", str(SECONDS))
    remote.agent("--who", who, *words)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(EVERY):
            try:
                remote.agent("--who", who, *words)
            except DeployError:
                continue  # the lock lasts for several of these; the next one may get through

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        remote.agent("unlock", "--token", token)
