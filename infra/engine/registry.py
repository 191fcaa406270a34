"""Fetching the real images, and telling quickly whether their registry can be reached at all."""

import re
import subprocess
import threading

from infra.engine.report import SetupError, environment, last_words, step

CONNECT_TIME = 15.0
# The registry's own error codes: whoever says one of these has been reached.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
ANSWERED = re.compile(
    r"toomanyrequests|unauthorized|denied|manifest (unknown|for .* not found)|name unknown"
    r"|no matching manifest",
    re.IGNORECASE,
)


def pull(image: str, connect_time: float = CONNECT_TIME) -> bool:
    """Fetch an image and return True, or False where its registry cannot be reached.

    Args:
        image: The image's name.
        connect_time: Seconds that the registry has to describe the image.

    Raises:
        SetupError: The registry was reached and the image was not to be had all the same.
    """
    with step(f"fetching {image}") as current:
        process = subprocess.Popen(
            ("docker", "pull", image),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
        )
        # "Pulling from" is printed once the registry has described the image; a network that
        # swallows everything would keep the engine waiting for minutes.
        patience = threading.Timer(connect_time, process.kill)
        patience.start()
        lines: list[str] = []
        reached = False
        with process:
            for line in process.stdout or ():
                lines.append(line.strip())
                current.detail = line.strip()
                if "Pulling from" in line:
                    reached = True
                    patience.cancel()
        patience.cancel()
    if process.returncode == 0:
        return True
    if reached or ANSWERED.search("\n".join(lines)):
        raise SetupError(f"fetching {image} failed: {last_words(lines)}")
    return False
