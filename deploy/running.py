"""What the host does in a process of its own, followed through lost connections."""

import secrets
import time
from collections.abc import Callable, Sequence

from deploy.remote import LOST, ConnectionLostError, Remote

RECONNECT_SECONDS = 120.0


def followed(remote: Remote, words: Sequence[str], say: Callable[[str], None]) -> int:
    """Have the host begin something that no lost connection stops; return how it ended.

    Raises:
        ConnectionLostError: The host does not come back; it goes on without us.
        DeployError: It was refused.
    """
    run = secrets.token_hex(6)
    code = remote.agent_stream((*words, "--run", run), say)
    deadline = time.monotonic() + RECONNECT_SECONDS
    while code == LOST:
        if time.monotonic() > deadline:
            raise ConnectionLostError(
                "the connection is lost; the host goes on by itself: see make status"
            )
        time.sleep(1)
        say("the connection was lost; following again")
        code = remote.agent_stream(("follow", "--run", run), say)
    return code
