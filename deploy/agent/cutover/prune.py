"""Keep the newest releases; clear away the others, with images and secrets that were theirs."""

import shutil
import time

from deploy.agent.host import docker
from deploy.agent.host.audit import Audit
from deploy.agent.host.images import tags
from deploy.agent.host.layout import AgentError, Layout, read_json

KEEP = 5
UNUSED_SECONDS = 24 * 3600
"""A release that was sent and never ran goes after a day: a younger one may be about to run."""


def prune(layout: Layout, project: str, audit: Audit) -> None:
    """Remove the releases beyond the newest five; never the current or the previous one."""
    linked = {layout.linked("current"), layout.linked("previous")}
    kept = layout.kept()
    for folder in [one for one in kept[:-KEEP] if one not in linked]:
        shutil.rmtree(folder)
        audit.note("pruned", f"release {folder.name} is no longer kept")
    never_ran = set(layout.releases.iterdir()) - set(layout.kept())
    for folder in never_ran:
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder)
    there = [read_json(folder / "release.json") for folder in layout.releases.glob("[0-9]*")]
    facts = [found for found in there if found is not None]
    images = {one["image"] for found in facts for one in found["services"].values()}
    files = {file for found in facts for file in found["secrets"].values()}
    for path in layout.secrets.iterdir():
        if path.name not in files:
            path.unlink()
    for tag, image in tags(project):
        if image not in images:
            try:
                docker.run("docker", "image", "rm", tag)
            except AgentError as error:
                audit.note("kept", reason=str(error))
