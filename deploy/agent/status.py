"""What runs on the host, for `make status` and for the deployer's decisions."""

import shutil
import time
from pathlib import Path

from deploy.agent.copies.copies import Copies
from deploy.agent.cutover.journal import Journal
from deploy.agent.data import backup
from deploy.agent.host import docker, lock
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Json, Layout, read_json
from deploy.agent.host.release import Release, changed, facts_of


def status(layout: Layout, project: str) -> Json:
    """Return what is here: releases, containers, lock, space, and whether all is as released."""
    current, previous = layout.linked("current"), layout.linked("previous")
    unfinished = _unfinished(layout)
    held = lock.holder(layout)
    return {
        "current": current.name if current else None,
        "previous": previous.name if previous else None,
        "content": _content(layout),
        "as_released": _as_released(layout) if current and not unfinished else [],
        "releases": [_release(path) for path in layout.kept()],
        "backups": [path.name for path in backup.kept(layout)],
        "containers": [
            {
                "service": container.service,
                "name": container.name,
                "status": container.status,
                "health": container.health,
                "started": container.started,
                "image": container.image,
            }
            for container in docker.containers(project)
        ],
        "images": docker.images(),
        "lock": lock.describe(held) if held else None,
        "unfinished": unfinished,
        "restoring": _restoring(layout),
        "moving": read_json(layout.moving),
        "moved": (read_json(layout.moved) or {}).get("to", ""),
        "busy": lock.busy(layout),
        "free_bytes": free_bytes(layout),
        "time": time.time(),
        **_copies(current),
    }


def free_bytes(layout: Layout) -> int:
    """Return the space left where Docker keeps images, or where we keep releases if less."""
    places = [docker.run("docker", "info", "--format", "{{.DockerRootDir}}").strip()]
    if layout.root.exists():
        places.append(str(layout.root))
    return min(shutil.disk_usage(place).free for place in places if Path(place).is_dir())


def _copies(current: Path | None) -> Json:
    """Return which stores this server leads, whether it backs up, and what lacks of the copies."""
    try:
        copies = Copies.of(Release.load(current)) if current else None
    except AgentError:
        copies = None
    if copies is None:
        return {}
    return {"leads": copies.leads(), "lacking": copies.lacking(), "saves": copies.saves()}


def _unfinished(layout: Layout) -> str | None:
    try:
        journal = Journal.load(layout.journal)
    except AgentError as error:
        return str(error)
    return f"{journal.release} at '{journal.step}'" if journal else None


def _restoring(layout: Layout) -> Json | None:
    """Return the backup of an unfinished restore, and whether its data is in place."""
    facts = read_json(layout.restoring)
    return facts and {"backup": facts["backup"], "placed": bool(facts.get("placed"))}


def _content(layout: Layout) -> str | None:
    current = layout.linked("current")
    return facts_of(current).get("content") if current else None


def _as_released(layout: Layout) -> list[str]:
    """Return the services that do not run as the current release says."""
    current = layout.linked("current")
    assert current is not None  # noqa: S101 - the caller has looked
    try:
        return changed(Release.load(current))
    except AgentError as error:
        return [str(error)]


def _release(path: Path) -> Json:
    facts = facts_of(path)
    return {"name": path.name, **{name: facts.get(name) for name in ("sha", "created", "who")}}
