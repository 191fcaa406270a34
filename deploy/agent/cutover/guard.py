"""No data store goes back to an older version, nor over a major one that cannot read its files."""

import re
from collections.abc import Iterable

from deploy.agent.cutover.journal import Switch
from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.release import Release

PROGRAMS = {"redis": "redis-server", "postgres": "postgres"}
VERSION = re.compile(r"(?:v=|PostgreSQL\) )(\d+)\.(\d+)")
KEEPS_MAJOR = {"postgres"}


def versions(release: Release, switches: Iterable[Switch]) -> None:
    """Compare the version of each data store that gets another image with what wrote its files.

    Raises:
        AgentError: The files of the old one are not for the new one.
    """
    for switch in switches:
        new = release.services[switch.service]
        kind, image = new["data"], new["image"]
        there = docker.containers(release.project, switch.service) if kind and switch.old else []
        for old in {container.image for container in there if container.id in switch.old}:
            problem = (
                verdict(kind, version(kind, old), version(kind, image)) if old != image else ""
            )
            if problem:
                text = f"{switch.service}: {problem}; back up, and restore into the new one"
                raise AgentError(text)


def verdict(kind: str, old: tuple[int, int], new: tuple[int, int]) -> str:
    """Return what speaks against a change of version; nothing where it is safe."""
    if kind in KEEPS_MAJOR and old[0] != new[0]:
        return f"version {new[0]} cannot read the files of version {old[0]}"
    if new[0] < old[0] or (kind not in KEEPS_MAJOR and new < old):
        return f"version {new[0]}.{new[1]} is older than {old[0]}.{old[1]}, which wrote its files"
    return ""


def version(kind: str, image: str) -> tuple[int, int]:
    """Return the version of the data store in an image."""
    isolated = ("--rm", "--network", "none", "--entrypoint", PROGRAMS[kind])
    output = docker.run("docker", "run", *isolated, image, "--version")
    match = VERSION.search(output)
    if match is None:
        raise AgentError(
            f"{PROGRAMS[kind]} --version says {output.strip()!r}, which has no version"
        )
    return int(match[1]), int(match[2])
