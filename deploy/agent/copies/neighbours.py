"""What a server knows of itself and its way to the others before anything runs on it."""

import socket
import time
from collections.abc import Collection

from deploy.agent.host.docker import run
from deploy.agent.host.layout import Json

PORT = 2380
CONNECTS_WITHIN = 3.0


def look(own: str, others: Collection[str]) -> Json:
    """Return this server's clock and Docker, and whether its private address leads to the others.

    Args:
        own: The private address that it is said to have.
        others: Those of the other servers.
    """
    form = "{{.Server.Version}}"
    return {
        "docker": run("docker", "version", "--format", form).strip(),
        "owns": owns(own),
        "unreachable": [other for other in others if not reaches(own, other)],
        "time": time.time(),
    }


def owns(address: str) -> bool:
    """Whether an address is one of this server's."""
    with socket.socket() as here:
        try:
            here.bind((address, 0))
        except OSError:
            return False
    return True


def reaches(own: str, other: str) -> bool:
    """Whether another server lets this one in; that nothing listens there yet is an answer too."""
    try:
        socket.create_connection((other, PORT), CONNECTS_WITHIN, (own, 0)).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
