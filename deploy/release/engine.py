"""The Docker engine of this machine."""

import subprocess

from deploy.errors import UnavailableError


def docker(
    command: tuple[str, ...], stdin: bytes, *, verbose: bool
) -> subprocess.CompletedProcess[bytes]:
    """Run a Docker command of this machine; its output is shown if asked for, else returned."""
    out = None if verbose else subprocess.PIPE
    try:
        return subprocess.run(
            command, input=stdin, stdout=out, stderr=out and subprocess.STDOUT, check=False
        )
    except FileNotFoundError:
        raise UnavailableError("docker is missing on this machine; images are built here") from None
