"""The Compose plugin: is it there, and if not, install it for every user of the machine."""

import subprocess
from pathlib import Path

from infra.engine import debian
from infra.engine.report import SetupError, environment

PLUGIN = Path("/usr/local/lib/docker/cli-plugins/docker-compose")
# Debian 13 is the first release that has Compose v2; its program runs on Debian 12 as it is.
BORROWED = ("docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")


def ensure_compose() -> None:
    """Leave a `docker compose` that works.

    `docker compose build` has BuildKit and its cache mounts by itself: buildx is not needed.

    Raises:
        SetupError: It is missing, and can't be installed here.
    """
    if works():
        return
    debian.require_debian()
    debian.update()
    version = debian.candidate("docker-compose")
    if version is None or version.startswith("1."):
        debian.borrow("trixie", {PLUGIN: BORROWED})
    else:
        debian.install("docker-compose")
    if not works():
        raise SetupError("the Compose plugin is installed, but 'docker compose version' fails")


def works() -> bool:
    """Tell whether the docker command has Compose."""
    command = ("docker", "compose", "version")
    result = subprocess.run(command, env=environment(), capture_output=True, check=False)
    return result.returncode == 0
