"""What ends a process: Redis refuses its user, which waiting never mends.

NOPERM, NOAUTH and WRONGPASS, also of a user that is disabled, are answers, no outage. A process
that took them for one would stand still for ever, and look as if Redis were away. It ends with
EX_CONFIG (78) and one line instead, wherever it was told: at its start or in the middle of a
publish, a read, a lease or a probe.

That goes for a password that is being changed as well. A process reads its password once, when it
starts; what starts it again (Docker, systemd) gives it the new one.

Sources: redis.io/docs/latest/operate/oss_and_stack/management/security/acl/.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

IN_SCRIPT = "ACL failure in script"
"""How an error of a script begins whose own call was refused; it has no code of its own."""
READING = {"XREADGROUP", "XACK", "XCLAIM", "XAUTOCLAIM", "XPENDING", "XINFO", "XGROUP", "XRANGE"}
"""Commands of a service that subscribes to an event; the others belong to one that publishes it."""
EVENT = re.compile(r"\{?([A-Za-z0-9_]+)")


def denies(error: RedisError) -> bool:
    """Say whether an error means that the user itself is refused: NOAUTH, WRONGPASS, NOPERM."""
    by_code = isinstance(error, AuthenticationError | NoPermissionError)
    return by_code or str(error).startswith(IN_SCRIPT)


def end_process(error: RedisError, user: str, sent: bytes) -> NoReturn:
    """Write one line and end the process with EX_CONFIG, at once.

    No exception does this: libraries between here and `main` catch whatever a handler raises, and
    would take an update or a request for finished. Nor is there anything to tidy up: what this
    runtime promises holds after a SIGKILL, and a clean stop would ask the same Redis again.

    Args:
        error: what Redis said; `denies` is true of it.
        user: the Redis user that was refused.
        sent: the command that it was refused, as it was sent; only its name and its key are shown.
    """
    sys.stdout.flush()
    sys.stderr.write(f"herald: {explain(error, user, command_of(sent))}\n")
    sys.stderr.flush()
    os._exit(os.EX_CONFIG)


def explain(error: RedisError, user: str, command: Sequence[str]) -> str:
    """Return in one line who was refused what, and what to do about it."""
    answer = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, AuthenticationError):
        return (
            f"Redis does not let user {user} in: {answer}; REDIS_URL has to hold the name and the"
            " password of a user that Redis knows, and `make secrets` writes both"
        )
    name = command[0].upper() if command else "a command"
    key = _key(name, command)
    event = EVENT.match(key)
    where = "subscribes:" if name in READING else "publishes:"
    return (
        f"Redis refuses user {user} {name} on {key or 'no key'}: {answer}; name"
        f" {event[1] if event else 'the event'} under '{where}' of this service in services.yml,"
        " then make sync-services and start it again"
    )


def _key(name: str, parts: Sequence[str]) -> str:
    """Return the key of a command, the first one of a script; '' for none."""
    at = {"EVAL": 3, "EVALSHA": 3, "XGROUP": 2, "XINFO": 2}.get(name, 1)
    if name == "XREADGROUP" and "STREAMS" in parts:
        at = parts.index("STREAMS") + 1
    return parts[at] if at < len(parts) else ""


def command_of(sent: bytes) -> list[str]:
    """Return the first command of what was sent.

    Source: redis.io/docs/latest/develop/reference/protocol-spec, "Sending commands to a server".
    """
    command: list[str] = []
    at, count = 0, 0
    while at < len(sent) and (not count or len(command) < count):
        end = sent.index(b"\r\n", at)
        number, at = int(sent[at + 1 : end]), end + 2
        if not count:
            count = number
            continue
        command.append(sent[at : at + number].decode(errors="replace"))
        at += number + 2
    return command
