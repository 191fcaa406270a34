"""What the host does in a process of its own, followed through lost connections."""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

from deploy.errors import ConnectionLostError
from deploy.ssh.link import Link, Say

RECONNECT_SECONDS = 120.0


def followed(link: Link, words: Sequence[str], say: Say) -> int:
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

        with suppress(ConnectionLostError):
            return link.agent_stream(words, pass_on)
        if deadline is None or len(lines) > heard:
            deadline = time.monotonic() + RECONNECT_SECONDS
        heard = max(heard, len(lines))
        if time.monotonic() > deadline:
            raise ConnectionLostError(
                "the connection is lost; the host goes on by itself: see make status"
            )
        time.sleep(1)
        say("the connection was lost; following again")
