"""What is on the host against what the current release says should be."""

from collections.abc import Iterator

from deploy.agent.host import docker
from deploy.agent.host.images import own_tag, tags
from deploy.agent.host.layout import AgentError, Layout
from deploy.agent.host.release import Release, missing_images, missing_secrets


def differences(layout: Layout) -> Iterator[str]:
    """Yield one line for each difference."""
    folder = layout.linked("current")
    if folder is None:
        yield "no release is current; deploy one"
        return
    try:
        release = Release.load(folder)
    except AgentError as error:
        yield str(error)
        return
    if layout.journal.exists():
        yield "a cut-over is unfinished; the next deploy undoes or finishes it"
    yield from (f"{name}: its image is gone" for name in missing_images(release))
    yield from (f"secret {name}: its file is gone" for name in missing_secrets(release, layout))
    yield from retagged(release)
    there = docker.containers(release.project)
    wanted = release.stack.hashes()
    for name, service in release.services.items():
        found = [one for one in there if one.service == name]
        if len(found) != service["replicas"]:
            yield f"{name}: {len(found)} containers, {service['replicas']} are wanted"
        for one in found:
            yield from (f"{name}: {what}" for what in of_container(one, wanted[name], service))
    for one in there:
        if one.service not in release.services:
            yield f"{one.name}: the release has no such service"


def retagged(release: Release) -> Iterator[str]:
    """Yield one line for each image whose name of ours belongs to another one, or to none."""
    there = dict(tags(release.project))
    for name, service in release.services.items():
        tag = own_tag(release.project, name, service["image"])
        if tag not in there:
            yield f"{name}: {tag} is gone"
        elif there[tag] != service["image"]:
            yield f"{name}: {tag} is another image"


def of_container(one: docker.Container, wanted: str, service: dict[str, object]) -> Iterator[str]:
    """Yield what is different about one container."""
    if not one.running:
        yield f"{one.name} is {one.status}"
    elif one.health == "unhealthy":
        yield f"{one.name} is unhealthy"
    if one.image != service["image"]:
        yield f"{one.name} runs another image"
    if one.config_hash != wanted:
        yield f"{one.name} has another configuration"
