"""No data store goes back to an older version, nor over a major one that cannot read its files."""

import re

from deploy.agent.cutover.journal import Journal
from deploy.agent.host import docker
from deploy.agent.host.layout import AgentError
from deploy.agent.host.release import Release

PROGRAMS = {"redis": "redis-server", "postgres": "postgres"}
VERSION = re.compile(r"(?:v=|PostgreSQL\) )(\d+)\.(\d+)")
KEEPS_MAJOR = {"postgres"}


def versions(release: Release, before: Release | None, journal: Journal) -> None:
    """Compare the version of each data store that gets another image.

    Raises:
        AgentError: The files of the old one are not for the new one.
    """
    for switch in journal.switches:
        new = release.services[switch.service]
        old = before.services.get(switch.service) if before else None
        if not new["data"] or old is None or old["image"] == new["image"] or not switch.old:
            continue
        problem = verdict(
            new["data"], version(new["data"], old["image"]), version(new["data"], new["image"])
        )
        if problem:
            raise AgentError(f"{switch.service}: {problem}; back up, and restore into the new one")


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
    told = docker.run("docker", "run", *isolated, image, "--version")
    found = VERSION.search(told)
    if found is None:
        raise AgentError(f"{PROGRAMS[kind]} --version says {told.strip()!r}, which has no version")
    return int(found[1]), int(found[2])
