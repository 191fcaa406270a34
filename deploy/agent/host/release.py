"""A release as its folder says, and what it would change on this host."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json, Layout, read_json
from deploy.agent.host.stack import Stack


@dataclass(frozen=True)
class Release:
    """One folder of releases/."""

    folder: Path
    facts: Json

    @staticmethod
    def load(folder: Path) -> "Release":
        """Read a release's folder.

        Raises:
            AgentError: It is not complete, or not as it was sent.
        """
        facts = read_json(folder / "release.json")
        if facts is None:
            raise AgentError(f"{folder} has no release.json")
        for name, wanted in facts["files"].items():
            path = folder / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
                raise AgentError(f"{path} is not as it was released")
        return Release(folder, facts)

    @property
    def name(self) -> str:
        """Its name: <utc>-<sha>."""
        return self.folder.name

    @property
    def project(self) -> str:
        """The Compose project."""
        return str(self.facts["project"])

    @property
    def services(self) -> dict[str, Json]:
        """Its services in start order."""
        services: dict[str, Json] = self.facts["services"]
        return services

    def is_copy(self, service: str) -> bool:
        """Whether a service is a copy of a store, or what stands beside one."""
        return bool(self.services[service].get("copy"))

    @property
    def stack(self) -> Stack:
        """Its Compose file."""
        return Stack(self.project, self.folder)

    def images(self) -> set[str]:
        """Return the ids of its images."""
        return {service["image"] for service in self.services.values()}


def facts_of(folder: Path) -> Json:
    """Return what a release says of itself, unchecked; nothing where that is gone or damaged."""
    try:
        return read_json(folder / "release.json") or {}
    except AgentError:
        return {}


def missing_images(release: Release) -> list[str]:
    """Return the services whose image is not on this host."""
    there = set(docker.images())
    return [name for name, service in release.services.items() if service["image"] not in there]


def missing_secrets(release: Release, layout: Layout) -> list[str]:
    """Return the secrets whose file is not on this host."""
    return [
        name
        for name, file in release.facts["secrets"].items()
        if not (layout.secrets / file).is_file()
    ]


def changed(release: Release) -> list[str]:
    """Return the services that do not run just as the release says, in start order."""
    wanted = release.stack.hashes()
    there = docker.containers(release.project)
    return [
        name
        for name, service in release.services.items()
        if not _as_wanted([c for c in there if c.service == name], wanted[name], service)
    ]


def _as_wanted(containers: list[docker.Container], wanted: str, service: Json) -> bool:
    as_released = (True, wanted, service["image"])
    return len(containers) == service["replicas"] and all(
        (container.running, container.config_hash, container.image) == as_released
        for container in containers
    )
