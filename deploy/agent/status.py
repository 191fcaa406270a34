"""What runs on the host, for `make status` and for the deployer's decisions."""

import shutil
import time
from pathlib import Path

from deploy.agent.cutover.journal import Journal
from deploy.agent.data import backup
from deploy.agent.host import docker, lock
from deploy.agent.host.layout import AgentError, Json, Layout, read_json
from deploy.agent.host.release import Release, changed


def status(layout: Layout, project: str) -> Json:
    """Return what is here: releases, containers, lock, space, and whether all is as released."""
    current, previous = layout.linked("current"), layout.linked("previous")
    journal = Journal.load(layout.journal)
    found = lock.holder(layout)
    return {
        "current": current.name if current else None,
        "previous": previous.name if previous else None,
        "content": _content(layout),
        "as_released": _as_released(layout) if current and not journal else [],
        "releases": [_release(path) for path in layout.kept()],
        "backups": [path.name for path in backup.kept(layout)],
        "containers": [
            {
                "service": one.service,
                "name": one.name,
                "status": one.status,
                "health": one.health,
                "started": one.started,
                "image": one.image,
            }
            for one in docker.containers(project)
        ],
        "images": docker.run("docker", "images", "-aq", "--no-trunc").split(),
        "lock": lock.describe(found) if found else None,
        "unfinished": f"{journal.release} at '{journal.step}'" if journal else None,
        "busy": lock.busy(layout),
        "free_bytes": free_bytes(layout),
        "time": time.time(),
    }


def free_bytes(layout: Layout) -> int:
    """Return the space left where Docker keeps images, or where we keep releases if less."""
    places = [docker.run("docker", "info", "--format", "{{.DockerRootDir}}").strip()]
    if layout.root.exists():
        places.append(str(layout.root))
    return min(shutil.disk_usage(place).free for place in places if Path(place).is_dir())


def _content(layout: Layout) -> str | None:
    current = layout.linked("current")
    facts = read_json(current / "release.json") if current else None
    return facts["content"] if facts else None


def _as_released(layout: Layout) -> list[str]:
    """Return the services that do not run as the current release says."""
    current = layout.linked("current")
    assert current is not None  # noqa: S101 - the caller has looked
    try:
        return changed(Release.load(current))
    except AgentError as error:
        return [str(error)]


def _release(path: Path) -> Json:
    facts = read_json(path / "release.json") or {}
    return {name: facts.get(name) for name in ("name", "sha", "created", "who")}
