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
    """
    # Asked for again under the same name, a run is followed, and begun only where it was not.
    words = (*words, "--run", secrets.token_hex(6))
    heard = 0
    deadline = None
    while True:
        lines: list[str] = []

        def pass_on(line: str, lines: list[str] = lines, known: int = heard) -> None:
            lines.append(line)
            if len(lines) > known:
                say(line)

        code = remote.agent_follow(words, pass_on)
        if code != LOST:
            return code
        if deadline is None or len(lines) > heard:
            deadline = time.monotonic() + RECONNECT_SECONDS
        heard = max(heard, len(lines))
        if time.monotonic() > deadline:
            raise ConnectionLostError(
                "the connection is lost; the host goes on by itself: see make status"
            )
        time.sleep(1)
        say("the connection was lost; following again")
