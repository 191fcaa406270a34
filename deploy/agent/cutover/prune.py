"""Keep the newest releases; clear away the others, with images and secrets that were theirs."""

import shutil
import time
from collections.abc import Iterable

from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.images import built, tags
from deploy.agent.host.layout import Json, Layout
from deploy.agent.host.release import facts_of

KEEP = 5
UNUSED_SECONDS = 24 * 3600
"""A release that was sent and never ran goes after a day: a younger one may be about to run."""


def prune(layout: Layout, project: str, audit: Audit) -> None:
    """Remove the releases beyond the newest five; never the current or the previous one."""
    linked = {layout.linked("current"), layout.linked("previous")}
    kept = layout.kept()
    for folder in [folder for folder in kept[:-KEEP] if folder not in linked]:
        shutil.rmtree(folder)
        audit.note("pruned", f"release {folder.name} is no longer kept")
    never_ran = set(layout.releases.iterdir()) - set(layout.kept())
    for folder in never_ran:
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder)
    sent = {folder: facts_of(folder) for folder in layout.releases.glob("[0-9]*")}
    images = images_of(sent.values())
    files = {file for facts in sent.values() for file in facts.get("secrets", {}).values()}
    for path in layout.secrets.iterdir():
        if path.name not in files:
            path.unlink()
    named = tags(project)
    remove_images([tag for tag, image in named if image not in images], audit)
    # What a deploy has sent and not named, because it died between the two; its release never runs.
    ran = images_of(facts_of(folder) for folder in layout.kept())
    remove_images(set(built(project)) - ran - {image for _, image in named}, audit)


def images_of(releases: Iterable[Json]) -> set[str]:
    """Return the ids of the images that releases are made of."""
    services = (service for facts in releases for service in facts.get("services", {}).values())
    return {service["image"] for service in services}


def remove_images(names: Iterable[str], audit: Audit) -> None:
    """Remove images; one that something of the host's needs stays, and that is noted."""
    for name in names:
        try:
            docker.run("docker", "image", "rm", name)
        except AgentError as error:
            audit.note("kept", reason=str(error))
