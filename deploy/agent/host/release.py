"""A release as its folder says, and what it would change on this host."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from deploy.agent.host import docker
from deploy.agent.host.layout import AgentError, Json, Layout, read_json
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
        found: dict[str, Json] = self.facts["services"]
        return found

    @property
    def stack(self) -> Stack:
        """Its Compose file."""
        return Stack(self.project, self.folder)

    def images(self) -> set[str]:
        """Return the ids of its images."""
        return {one["image"] for one in self.services.values()}


def missing_images(release: Release) -> list[str]:
    """Return the services whose image is not on this host."""
    return [
        name
        for name, one in release.services.items()
        if docker.image_id(one["image"]) != one["image"]
    ]


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
        for name, one in release.services.items()
        if not _as_wanted([c for c in there if c.service == name], wanted[name], one)
    ]


def _as_wanted(found: list[docker.Container], wanted: str, service: Json) -> bool:
    return len(found) == service["replicas"] and all(
        one.running and one.config_hash == wanted and one.image == service["image"] for one in found
    )
